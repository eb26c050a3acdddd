import TocsinJSON

/// What a user may be allowed to do with a partition.
package enum UserAction: String, CaseIterable, Sendable {
    case arm
    case disarm
    case bypass
    /// Go from one armed mode to another (T08).
    case modeChange = "mode_change"
}

/// A weekly stretch of the site's local time in which a code is good.
package struct WeeklyWindow: Hashable, Sendable {
    /// Names of days, `mon` … `sun`; empty means every day.
    package var days: Set<Weekday>
    package var from: TimeOfDay
    /// Exclusive; if not after `from` it ends on the next day.
    package var to: TimeOfDay

    package init(days: Set<Weekday>, from: TimeOfDay, to: TimeOfDay) {
        self.days = days
        self.from = from
        self.to = to
    }
}

/// A person with a code at a site (design, arming: people).
package struct SiteUser: Hashable, Sendable {
    package var id: UserID
    package var name: String
    package var email: String?
    /// The numbers of the partitions that the code works on; none means all.
    package var partitions: Set<Int>?
    /// The modes that the code may arm; none means all.
    package var modes: Set<ModeName>?
    /// What the code may do; none means all.
    package var actions: Set<UserAction>?
    package var validFrom: Instant?
    package var validUntil: Instant?
    /// When in the week the code is good; none means always.
    package var windows: [WeeklyWindow]?
    /// How often the code may be used; a one-time code once.
    package var maximumUses: Int?
    /// Keyed hashes, the key outside the ledger: neither can be read back.
    package var codeHash: String?
    package var duressCodeHash: String?

    package init(
        id: UserID,
        name: String,
        email: String? = nil,
        partitions: Set<Int>? = nil,
        modes: Set<ModeName>? = nil,
        actions: Set<UserAction>? = nil,
        validFrom: Instant? = nil,
        validUntil: Instant? = nil,
        windows: [WeeklyWindow]? = nil,
        maximumUses: Int? = nil,
        codeHash: String? = nil,
        duressCodeHash: String? = nil
    ) {
        self.id = id
        self.name = name
        self.email = email
        self.partitions = partitions
        self.modes = modes
        self.actions = actions
        self.validFrom = validFrom
        self.validUntil = validUntil
        self.windows = windows
        self.maximumUses = maximumUses
        self.codeHash = codeHash
        self.duressCodeHash = duressCodeHash
    }

    /// Reads the settings that the API and the fleet file have checked.
    package init?(_ fixture: Fixture) {
        guard fixture.kind == .user else { return nil }
        let settings = fixture.settings
        let rights = settings["rights"]?.object ?? [:]
        self.init(
            id: UserID(stored: fixture.id),
            name: fixture.name,
            email: settings["email"]?.string,
            partitions: rights.integers("partitions").map(Set.init),
            modes: rights.words("modes"),
            actions: rights.words("actions"),
            validFrom: settings.instant("valid_from"),
            validUntil: settings.instant("valid_until"),
            windows: settings["windows"]?.array.map { $0.compactMap { $0.object.flatMap(WeeklyWindow.init) } },
            maximumUses: settings["one_time"]?.bool == true ? 1 : settings.integer("maximum_uses"),
            codeHash: settings["code_hash"]?.string,
            duressCodeHash: settings["duress_code_hash"]?.string
        )
    }
}

extension WeeklyWindow {
    /// Reads `{"days":[…],"from":"HH:MM","to":"HH:MM"}`.
    package init?(_ json: JSONObject) {
        guard let from = json["from"]?.string.flatMap(TimeOfDay.init),
            let to = json["to"]?.string.flatMap(TimeOfDay.init)
        else { return nil }
        self.init(days: json.words("days") ?? [], from: from, to: to)
    }
}

extension JSONObject {
    fileprivate func instant(_ name: String) -> Instant? { self[name]?.string.flatMap { try? Instant(rfc3339: $0) } }
}

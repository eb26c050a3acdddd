/// What of a site the arming machine needs: its identity, its partitions, zones, people and rules.
///
/// It is handed on with every command and seldom changed, so copies share what they hold.
package struct SiteConfiguration: Hashable, Sendable {
    private struct Parts: Hashable, Sendable {
        var site: Site
        var partitions: [Partition]
        var zones: [Zone]
        var devices: Set<DeviceID>
        var users: [SiteUser]
        var codeHolders: [String: CodeHolder]
        var schedules: [Schedule]
        var holidays: Set<CivilDate>
        var autoResolvesCancelled = false
        var relays: [Relay]
    }

    private final class Shared: Sendable {
        let parts: Parts

        init(_ parts: Parts) { self.parts = parts }
    }

    private var shared: Shared

    package init(
        site: Site,
        partitions: [Partition],
        zones: [Zone] = [],
        devices: Set<DeviceID> = [],
        users: [SiteUser] = [],
        schedules: [Schedule] = [],
        holidays: Set<CivilDate> = [],
        relays: [Relay] = []
    ) {
        var holders: [String: CodeHolder] = [:]
        for (index, user) in users.enumerated() {
            if let hash = user.codeHash { holders[hash] = CodeHolder(user: index, isDuress: false) }
            if let hash = user.duressCodeHash { holders[hash] = CodeHolder(user: index, isDuress: true) }
        }
        shared = Shared(
            Parts(
                site: site,
                partitions: partitions.sorted { $0.number < $1.number },
                zones: zones.sorted { $0.number < $1.number },
                devices: devices,
                users: users,
                codeHolders: holders,
                schedules: schedules,
                holidays: holidays,
                relays: relays.sorted { $0.id < $1.id }
            )
        )
    }

    package var site: Site {
        get { shared.parts.site }
        set { change { $0.site = newValue } }
    }

    /// In the order of their numbers.
    package var partitions: [Partition] {
        get { shared.parts.partitions }
        set { change { $0.partitions = newValue } }
    }

    /// In the order of their numbers.
    package var zones: [Zone] {
        get { shared.parts.zones }
        set { change { $0.zones = newValue } }
    }

    /// Known by their ids, with zones or without.
    package var devices: Set<DeviceID> {
        get { shared.parts.devices }
        set { change { $0.devices = newValue } }
    }

    /// Who holds a code; loaded for platform-triggered sites only, because nobody else checks one.
    package var users: [SiteUser] {
        get { shared.parts.users }
        set { change { $0.users = newValue } }
    }

    /// By the keyed hash of their code, so that a check is one probe however many users there are.
    package var codeHolders: [String: CodeHolder] { shared.parts.codeHolders }

    /// What arms and disarms by the clock; loaded for platform-triggered sites only.
    package var schedules: [Schedule] {
        get { shared.parts.schedules }
        set { change { $0.schedules = newValue } }
    }

    /// The dealer's, on which schedules rest; loaded where there are schedules.
    package var holidays: Set<CivilDate> {
        get { shared.parts.holidays }
        set { change { $0.holidays = newValue } }
    }

    /// Whether the dealer wants alarms that a disarm cancelled to resolve themselves (T28).
    package var autoResolvesCancelled: Bool {
        get { shared.parts.autoResolvesCancelled }
        set { change { $0.autoResolvesCancelled = newValue } }
    }

    /// In the order of their ids.
    package var relays: [Relay] {
        get { shared.parts.relays }
        set { change { $0.relays = newValue } }
    }

    private mutating func change(_ body: (inout Parts) -> Void) {
        var parts = shared.parts
        body(&parts)
        shared = Shared(parts)
    }

    package static func == (a: Self, b: Self) -> Bool { a.shared === b.shared || a.shared.parts == b.shared.parts }
    package func hash(into hasher: inout Hasher) { hasher.combine(shared.parts) }

    /// Whose a code is.
    package struct CodeHolder: Hashable, Sendable {
        /// The position in ``SiteConfiguration/users``.
        package var user: Int
        package var isDuress: Bool
    }

    package func zone(numbered number: Int) -> Zone? { zones.first { $0.number == number } }

    package func zone(_ id: ZoneID) -> Zone? { zones.first { $0.id == id } }
}

import TocsinJSON

/// A zone's class (design, arming: zone classes).
package enum ZoneType: String, CaseIterable, Sendable {
    case exitEntry = "exit_entry"
    case finalExit = "final_exit"
    case perimeter
    case interiorFollower = "interior_follower"
    case interiorInstant = "interior_instant"
    case h24Burglary = "h24_burglary"
    case h24Tamper = "h24_tamper"
    case h24PanicAudible = "h24_panic_audible"
    case h24PanicSilent = "h24_panic_silent"
    case h24Fire = "h24_fire"
    case h24Medical = "h24_medical"
    case h24Environment = "h24_env"
    case troubleOnly = "trouble_only"
    case keySwitch = "key_switch"
    case none

    /// The class of incident that an open of this zone is at any time, armed or not; none for the other classes.
    package var alwaysOnClass: AlarmClass? {
        switch self {
        case .h24Burglary: .intrusion
        case .h24Tamper: .tamper
        case .h24PanicAudible, .h24PanicSilent: .panic
        case .h24Fire: .fire
        case .h24Medical: .medical
        case .h24Environment: .environment
        case .exitEntry, .finalExit, .perimeter, .interiorFollower, .interiorInstant, .troubleOnly, .keySwitch, .none:
            nil
        }
    }

    /// Whether the zone guards only while its partition is armed.
    package var isBurglary: Bool {
        switch self {
        case .exitEntry, .finalExit, .perimeter, .interiorFollower, .interiorInstant: true
        case .h24Burglary, .h24Tamper, .h24PanicAudible, .h24PanicSilent, .h24Fire, .h24Medical, .h24Environment,
            .troubleOnly, .keySwitch, .none:
            false
        }
    }

    /// A door through which one leaves and comes in.
    package var isEntryDoor: Bool { self == .exitEntry || self == .finalExit }

    /// On the way out: may be open while an exit delay runs.
    package var isExitRoute: Bool { isEntryDoor || self == .interiorFollower }

    /// Interior zones take no part in stay and night unless the zone says so (design, arming: zone attributes).
    package var isInterior: Bool { self == .interiorFollower || self == .interiorInstant }

    /// Fire and panic cannot be left out (I11).
    package var isNeverBypassed: Bool {
        switch alwaysOnClass {
        case .fire, .panic, .medical: true
        case .intrusion, .tamper, .duress, .environment, nil: false
        }
    }
}

/// The modes that a zone, a right or a schedule may name; a custom mode is named `custom` here whatever its own name.
package enum ModeName: String, CaseIterable, Sendable {
    case away
    case stay
    case night
    case custom

    package init(_ mode: ArmingMode) {
        switch mode {
        case .away: self = .away
        case .stay: self = .stay
        case .night: self = .night
        case .custom: self = .custom
        }
    }
}

/// A detection point of a site, with the settings of the fleet file (decisions §12; design, arming: zone classes).
package struct Zone: Hashable, Sendable {
    /// False alarms of one zone in an arming session until it is left out (design, arming: `swinger_limit`).
    package static let defaultSwingerLimit = 3

    package var id: ZoneID
    package var number: Int
    package var name: String
    package var type: ZoneType
    /// What detects: contact, motion, glass, smoke.
    package var kind: String?
    /// The numbers of its partitions; empty means all.
    ///
    /// With several it is common: it guards while all of them are armed.
    package var partitions: [Int]
    package var deviceID: DeviceID?
    /// The modes in which it guards; none leaves it to its type.
    package var modes: Set<ModeName>?
    /// Its own entry delay in seconds; none means the partition's.
    package var entryDelaySeconds: Int?
    /// How long it must stay open to count, in seconds.
    package var delayOnSeconds: Int
    package var silent: Bool
    package var swingerLimit: Int
    package var swingerExempt: Bool
    package var bypassable: Bool
    /// Whether `force_arm` may leave it out while it is open.
    package var forceArmable: Bool
    /// While an entry delay runs it belongs to the way in, whatever its type.
    package var entryOverride: Bool
    /// Whether its incidents wait in the partition's abort window; fire and panic never do.
    package var abortWindow: Bool
    /// Two members of a group within the partition's window make an incident, one alone only a trouble (T33).
    package var crossGroup: String?
    /// Outdoors: alarms, but verifies nothing.
    package var exterior: Bool

    package init(
        id: ZoneID,
        number: Int,
        name: String,
        type: ZoneType,
        kind: String? = nil,
        partitions: [Int] = [],
        deviceID: DeviceID? = nil,
        modes: Set<ModeName>? = nil,
        entryDelaySeconds: Int? = nil,
        delayOnSeconds: Int = 0,
        silent: Bool = false,
        swingerLimit: Int = Zone.defaultSwingerLimit,
        swingerExempt: Bool = false,
        bypassable: Bool = true,
        forceArmable: Bool = true,
        entryOverride: Bool = false,
        abortWindow: Bool = true,
        crossGroup: String? = nil,
        exterior: Bool = false
    ) {
        self.id = id
        self.number = number
        self.name = name
        self.type = type
        self.kind = kind
        self.partitions = partitions
        self.deviceID = deviceID
        self.modes = modes
        self.entryDelaySeconds = entryDelaySeconds
        self.delayOnSeconds = delayOnSeconds
        self.silent = silent
        self.swingerLimit = swingerLimit
        self.swingerExempt = swingerExempt
        self.bypassable = bypassable
        self.forceArmable = forceArmable
        self.entryOverride = entryOverride
        self.abortWindow = abortWindow
        self.crossGroup = crossGroup
        self.exterior = exterior
    }

    /// Reads the settings that the API and the fleet file have checked; a zone without a number or type guards nothing.
    package init?(_ fixture: Fixture) {
        guard fixture.kind == .zone, let number = fixture.number,
            let type = fixture.settings["type"]?.string.flatMap(ZoneType.init(rawValue:))
        else { return nil }
        let settings = fixture.settings
        self.init(
            id: ZoneID(stored: fixture.id),
            number: number,
            name: fixture.name,
            type: type,
            kind: settings["kind"]?.string,
            partitions: settings.integers("partitions") ?? [],
            deviceID: settings["device_id"]?.string.map(DeviceID.init(stored:)),
            modes: settings.words("modes"),
            entryDelaySeconds: settings.integer("entry_delay_seconds"),
            delayOnSeconds: settings.integer("delay_on_seconds") ?? 0,
            silent: settings["silent"]?.bool ?? false,
            swingerLimit: settings.integer("swinger_limit") ?? Zone.defaultSwingerLimit,
            swingerExempt: settings["swinger_exempt"]?.bool ?? false,
            bypassable: settings["bypassable"]?.bool ?? true,
            forceArmable: settings["force_armable"]?.bool ?? true,
            entryOverride: settings["entry_override"]?.bool ?? false,
            abortWindow: settings["abort_window"]?.bool ?? true,
            crossGroup: settings["cross_group"]?.string,
            exterior: settings["exterior"]?.bool ?? false
        )
    }

    /// Whether it guards while its partition is armed in that mode.
    package func isActive(in mode: ArmingMode) -> Bool {
        guard type.isBurglary else { return false }
        if let modes { return modes.contains(ModeName(mode)) }
        switch mode {
        case .away, .custom: return true
        case .stay, .night: return !type.isInterior
        }
    }

    package func belongs(to partition: Partition) -> Bool {
        partitions.isEmpty || partitions.contains(partition.number)
    }

    /// A silent panic button: whether it is pressed may show nowhere at the premises (T34).
    package var isSecret: Bool { type == .h24PanicSilent || type == .h24PanicAudible && silent }

    package var mayBeBypassed: Bool { bypassable && !type.isNeverBypassed }

    /// As a person knows it: "Back Door (zone 5)".
    package var place: String { "\(name) (zone \(number))" }
}

extension JSONObject {
    package func integer(_ name: String) -> Int? { self[name]?.integer.flatMap(Int.init(exactly:)) }

    package func integers(_ name: String) -> [Int]? {
        self[name]?.array?.compactMap { $0.integer.flatMap(Int.init(exactly:)) }
    }

    /// The words of an enumeration; none where the member is absent.
    ///
    /// Inlined, because a set of an unknown type costs a third of the time in which a site's people are loaded.
    @inline(__always)
    package func words<Word: RawRepresentable<String> & Hashable>(_ name: String) -> Set<Word>? {
        guard let elements = self[name]?.array else { return nil }
        var words: Set<Word> = []
        for element in elements {
            if let word = element.string.flatMap(Word.init(rawValue:)) { words.insert(word) }
        }
        return words
    }
}

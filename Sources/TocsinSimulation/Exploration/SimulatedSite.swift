import TocsinCore

/// A small site and everything that may happen to it: two partitions, their common area, four zones, short delays.
package struct SimulatedSite: Sendable, CustomStringConvertible {
    package let name: String
    /// What it is there to show.
    package let summary: String
    package let configuration: SiteConfiguration
    package let inputs: [SimulationInput]

    package init(
        _ name: String,
        _ summary: String,
        _ configuration: SiteConfiguration,
        inputs: [SimulationInput]
    ) {
        self.name = name
        self.summary = summary
        self.configuration = configuration
        self.inputs = inputs
    }

    /// The moment at which every simulated life begins: 2026-05-26T12:00:00Z.
    package static let start = Instant(secondsSinceEpoch: 1_779_796_800)

    package var description: String { name }

    /// Whether an input could do anything new: a zone that is open does not open.
    func isWorthwhile(_ input: SimulationInput, in state: SiteState) -> Bool {
        switch input {
        case .signal(let signal):
            guard let zone = configuration.zone(numbered: signal.zone) else { return true }
            let said = state.zones[zone.id] ?? ZoneState()
            switch signal.kind {
            case .open: return !said.isOpen
            case .closed: return said.isOpen || said.isOffline
            case .restored: return !said.faults.isEmpty
            case .tamper: return !said.faults.contains(.tamper)
            case .trouble: return !said.faults.contains(.trouble)
            case .triggered: return !said.isOpen
            }
        case .device(let device, let isOffline):
            return configuration.zones.contains {
                $0.deviceID == device && (state.zones[$0.id]?.isOffline ?? false) != isOffline
            }
        case .resolve(let alarmClass):
            return state.partitions.values.contains { $0.incidents.contains { $0.alarmClass == alarmClass } }
                || state.raised.contains { $0.alarmClass == alarmClass }
        case .raise(let alarmClass, let isSilent):
            return !state.raised.contains { $0.alarmClass == alarmClass && $0.isSilent == isSilent }
        case .answer: return !state.verifications.isEmpty
        case .command, .report, .advance: return true
        }
    }
}

// MARK: - Building

extension SiteConfiguration {
    /// A site of simulated partitions.
    package static func simulated(
        _ partitions: [Partition],
        zones: [Zone],
        users: [SiteUser] = [],
        model: ArmingModel = .platformTriggered,
        profile: ComplianceProfile = .none
    ) -> SiteConfiguration {
        let site = Site(
            id: SiteID(stored: "site_1"),
            dealerID: DealerID(stored: "dlr_1"),
            partnerID: model == .partnerTriggered ? PartnerID(stored: "prt_1") : nil,
            externalID: nil,
            name: "Main Street 1",
            timezone: "UTC",
            address: nil,
            testMode: false,
            armingModel: model,
            complianceProfile: profile,
            createdAt: SimulatedSite.start
        )
        return SiteConfiguration(site: site, partitions: partitions, zones: zones, users: users)
    }
}

extension Partition {
    /// A partition with delays of seconds instead of minutes.
    package static func simulated(
        _ number: Int,
        _ name: String,
        exit: ExitDelays = ExitDelays(away: 4, stay: 2, night: 0, custom: 2),
        entry: Int = 3,
        commonAreaOf: [Int] = [],
        _ settle: (inout PartitionPolicy) -> Void = { _ in }
    ) -> Partition {
        var policy = PartitionPolicy()
        policy.bellSeconds = 4
        policy.cancelWindowSeconds = 3
        policy.crossZoneSeconds = 3
        policy.commonAreaOf = commonAreaOf
        settle(&policy)
        return Partition(
            id: PartitionID(stored: "p_\(number)"),
            siteID: SiteID(stored: "site_1"),
            number: number,
            name: name,
            exitDelaySeconds: exit,
            entryDelaySeconds: entry,
            policy: policy
        )
    }
}

extension Zone {
    /// A zone whose place in the site is its number.
    package static func simulated(
        _ number: Int,
        _ name: String,
        _ type: ZoneType,
        in partitions: [Int],
        _ settle: (inout Zone) -> Void = { _ in }
    ) -> Zone {
        var zone = Zone(
            id: ZoneID(stored: "zone_\(number)"),
            number: number,
            name: name,
            type: type,
            partitions: partitions
        )
        settle(&zone)
        return zone
    }
}

extension SiteUser {
    /// May do everything; has a duress code.
    package static let ann = SiteUser(
        id: UserID(stored: "usr_ann"),
        name: "Ann",
        codeHash: "ann",
        duressCodeHash: "ann under duress"
    )
    /// May arm partition 1 in stay, nothing else.
    package static let bob = SiteUser(
        id: UserID(stored: "usr_bob"),
        name: "Bob",
        partitions: [1],
        modes: [.stay],
        actions: [.arm],
        codeHash: "bob",
        duressCodeHash: "bob under duress"
    )
    /// A code for one use.
    package static let guest = SiteUser(
        id: UserID(stored: "usr_guest"),
        name: "Guest",
        maximumUses: 1,
        codeHash: "guest",
        duressCodeHash: "guest under duress"
    )
}

extension [SimulationInput] {
    /// Opens and closings of zones.
    static func doors(_ zones: ClosedRange<Int>) -> Self {
        zones.flatMap { [.signal(SignalInput(zone: $0, .open)), .signal(SignalInput(zone: $0, .closed))] }
    }

    static var clock: Self { [.advance(.toDeadline), .advance(.beforeDeadline)] }

    /// One second in which nothing is due, for windows that end without a deadline.
    static var seconds: Self { [.advance(.quiet(seconds: 1))] }
}

extension SimulationInput {
    static func arm(
        _ mode: ArmingMode,
        _ target: PartitionTarget = .all,
        with credential: CommandInput.Credential = .trusted,
        from source: Source = .keypad,
        bypass: [Int] = [],
        force: Bool = false,
        instant: Bool = false,
        noEntryDelay: Bool = false
    ) -> Self {
        let request = ArmingCommand.ArmRequest(
            mode: mode,
            bypassZones: bypass,
            force: force,
            instant: instant,
            noEntryDelay: noEntryDelay
        )
        return .command(CommandInput(.arm(request), target, with: credential, from: source))
    }

    static func disarm(
        _ target: PartitionTarget = .all,
        with credential: CommandInput.Credential = .trusted
    ) -> Self {
        .command(CommandInput(.disarm, target, with: credential))
    }

    static func does(_ action: ArmingCommand.Action, _ target: PartitionTarget = .all) -> Self {
        .command(CommandInput(action, target, with: .trusted))
    }
}

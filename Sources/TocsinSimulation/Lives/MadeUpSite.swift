import TocsinCore

extension SiteConfiguration {
    /// A site as somebody might configure it: up to three partitions, perhaps a common area, people of all kinds.
    static func madeUp(_ random: inout SimulationRandom) -> SiteConfiguration {
        let ordinary = random.number(1...3)
        var partitions: [Partition] = []
        for number in 1...ordinary { partitions.append(partition(number, commonAreaOf: [], &random)) }
        if ordinary > 1, random.chance(60) {
            partitions.append(partition(ordinary + 1, commonAreaOf: Array(1...ordinary), &random))
        }
        var zones: [Zone] = []
        for number in 1...random.number(3...8) { zones.append(zone(number, partitions: partitions.count, &random)) }
        return .simulated(
            partitions,
            zones: zones,
            users: users(&random),
            model: random.chance(15) ? .partnerTriggered : .platformTriggered,
            profile: random.pick([.none, .none, .cp01, .enG2, .ulCommercial])
        )
    }

    private static func partition(
        _ number: Int,
        commonAreaOf: [Int],
        _ random: inout SimulationRandom
    ) -> Partition {
        var policy = PartitionPolicy()
        policy.exitViolation = random.pick([.failArming, .failArming, .ignore, .alarm])
        policy.exitError = random.pick([.exitError, .exitError, .autoBypass, .armFailure])
        policy.exitRestart = random.chance(80)
        policy.stayIfUnvacated = random.chance(50)
        policy.offlineZone = random.pick([.none, .trouble, .alarm])
        policy.bellSeconds = random.pick([0, 20, 180])
        policy.abortWindowSeconds = random.pick([nil, 0, 15, 30])
        policy.cancelWindowSeconds = random.pick([0, 60, 300])
        policy.crossZoneSeconds = random.pick([10, 60, 300])
        policy.bypassLimit = random.pick([nil, nil, 0, 1, 2])
        policy.customModes = ["vacation"]
        policy.commonAreaOf = commonAreaOf
        return Partition(
            id: PartitionID(stored: "p_\(number)"),
            siteID: SiteID(stored: "site_1"),
            number: number,
            name: commonAreaOf.isEmpty ? "Part \(number)" : "Common",
            exitDelaySeconds: ExitDelays(
                away: random.pick([0, 10, 60]),
                stay: random.pick([0, 30]),
                night: 0,
                custom: random.pick([0, 20])
            ),
            entryDelaySeconds: random.pick([0, 15, 30, 45]),
            policy: policy
        )
    }

    private static func zone(_ number: Int, partitions: Int, _ random: inout SimulationRandom) -> Zone {
        let types: [ZoneType] =
            [.exitEntry, .exitEntry, .finalExit, .perimeter, .perimeter, .interiorFollower, .interiorInstant]
        let type = random.chance(70) ? random.pick(types) : random.pick(ZoneType.allCases)
        let places = random.chance(80) ? [random.number(1...partitions)] : random.pick([[], [1, partitions]])
        return .simulated(number, "Zone \(number)", type, in: Array(Set(places)).sorted()) { zone in
            zone.kind = random.pick([nil, "contact", "motion", "glass"])
            zone.deviceID = random.chance(30) ? DeviceID(stored: "dev_1") : nil
            zone.modes = random.pick([nil, nil, nil, [.away, .stay], [.night]])
            zone.entryDelaySeconds = random.pick([nil, nil, nil, 0, 20])
            zone.delayOnSeconds = random.chance(10) && type != .keySwitch ? 10 : 0
            zone.silent = random.chance(10)
            zone.swingerLimit = random.pick([1, 3, 3])
            zone.swingerExempt = random.chance(10)
            zone.bypassable = random.chance(80)
            zone.forceArmable = random.chance(80)
            zone.entryOverride = random.chance(10)
            zone.abortWindow = random.chance(80)
            zone.crossGroup = random.chance(20) ? "group" : nil
            zone.exterior = random.chance(20)
        }
    }

    private static func users(_ random: inout SimulationRandom) -> [SiteUser] {
        var users: [SiteUser] = [.ann]
        for number in 1...random.number(1...3) {
            let name = "user \(number)"
            users.append(
                SiteUser(
                    id: UserID(stored: "usr_\(number)"),
                    name: name,
                    partitions: random.pick([nil, nil, [1]]),
                    modes: random.pick([nil, nil, [.stay, .night]]),
                    actions: random.pick([nil, nil, [.arm], [.disarm], [.arm, .disarm, .modeChange]]),
                    validFrom: random.pick([nil, nil, SimulatedSite.start + .seconds(600)]),
                    validUntil: random.pick([nil, nil, SimulatedSite.start + .seconds(3600)]),
                    windows: random.pick([nil, nil, [window]]),
                    maximumUses: random.pick([nil, nil, 1, 2]),
                    codeHash: name,
                    duressCodeHash: random.chance(60) ? "\(name) under duress" : nil
                )
            )
        }
        return users
    }

    /// A working day's hours.
    private static var window: WeeklyWindow {
        WeeklyWindow(days: [], from: TimeOfDay(minutes: 8 * 60), to: TimeOfDay(minutes: 17 * 60))
    }
}

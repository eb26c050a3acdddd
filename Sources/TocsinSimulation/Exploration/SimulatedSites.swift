import TocsinCore

extension SimulatedSite {
    /// Every configuration of the explorer; together they reach each row that the machine takes.
    package static let all = [
        house, modes, alarms, dangers, fires, troubles, shared, european, codes, keys, partner, operators,
    ]

    private static let ann = CommandInput.Credential.code("ann")
    private static let underDuress = CommandInput.Credential.code("ann under duress")

    /// The ways out and in.
    static let house = SimulatedSite(
        "house",
        "exit and entry delays, final exit, exit restart and exit error, a common hall",
        .simulated(
            [
                .simulated(1, "House"),
                .simulated(2, "Office", exit: ExitDelays(away: 7, stay: 2, night: 0, custom: 2), entry: 2),
                .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Front Door", .exitEntry, in: [1]), .simulated(2, "Back Door", .finalExit, in: [2]),
                .simulated(3, "Hall Motion", .interiorFollower, in: [3]),
                .simulated(4, "Window", .perimeter, in: [2]),
            ]
        ),
        inputs: [
            .arm(.away), .arm(.away, .number(1), from: .api), .arm(.stay, .number(2)), .disarm(), .disarm(.number(1)),
            .does(.skipExit),
        ] + .doors(1...4) + .clock
    )

    /// From one mode to another, out without disarming, with zones left out.
    static let modes = SimulatedSite(
        "modes",
        "mode changes, quick exit, bypass, force, arming at once",
        .simulated(
            [
                .simulated(1, "House") { $0.bypassLimit = 1 }, .simulated(2, "Office"),
                .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Front Door", .exitEntry, in: [1]), .simulated(2, "Motion", .interiorInstant, in: [1]),
                .simulated(3, "Window", .perimeter, in: [1]),
                .simulated(4, "Vault", .perimeter, in: [2]) { $0.bypassable = false },
            ],
            users: [.ann, .bob]
        ),
        inputs: [
            .arm(.away, .number(1), with: ann), .arm(.stay, .number(1), with: ann),
            .arm(.stay, .number(1), with: .code("bob")), .arm(.away, .number(1), with: ann, bypass: [3]),
            .arm(.stay, .number(1), force: true), .arm(.night, .all, with: ann, noEntryDelay: true),
            .arm(.away, .number(2), force: true, instant: true), .does(.quickExit), .disarm(with: ann),
            .disarm(.number(1), with: .code("bob")),
        ] + .doors(1...4) + .clock
    )

    /// From the first trip to the end of the bell.
    static let alarms = SimulatedSite(
        "alarms",
        "abort and cancel windows, cross zones, verification, bell and memory",
        .simulated(
            [
                .simulated(1, "House") { $0.abortWindowSeconds = 2 }, .simulated(2, "Office"),
                .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Window", .perimeter, in: [1]),
                .simulated(2, "Motion", .interiorInstant, in: [1]) { $0.swingerLimit = 1 },
                .simulated(3, "Glass", .perimeter, in: [2]) { $0.crossGroup = "office" },
                .simulated(4, "Door", .exitEntry, in: [1]),
            ],
            users: [.ann]
        ),
        inputs: [
            .arm(.away, instant: true), .disarm(with: ann), .disarm(with: underDuress), .does(.silence),
            .resolve(.intrusion),
            .signal(SignalInput(zone: 1, .triggered)), .signal(SignalInput(zone: 2, .triggered)),
            .signal(SignalInput(zone: 3, .triggered)), .signal(SignalInput(zone: 4, .open)),
            .signal(SignalInput(zone: 4, .closed)),
        ] + .clock + .seconds
    )

    /// What alarms at any time.
    static let dangers = SimulatedSite(
        "dangers",
        "fire, silent panic and 24 h burglary in every state; duress",
        .simulated(
            [
                .simulated(1, "House"), .simulated(2, "Office"), .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Smoke", .h24Fire, in: [1]), .simulated(2, "Hold-up", .h24PanicSilent, in: [1]),
                .simulated(3, "Safe", .h24Burglary, in: [3]), .simulated(4, "Door", .exitEntry, in: [1]),
            ],
            users: [.ann]
        ),
        inputs: [
            .arm(.away, with: ann), .arm(.away, with: underDuress), .disarm(with: ann), .disarm(with: underDuress),
            .arm(.stay, .number(1), bypass: [1]), .does(.silence), .resolve(.fire), .resolve(.duress),
        ] + .doors(1...4) + .clock
    )

    /// What burns, goes out and burns again.
    static let fires = SimulatedSite(
        "fires",
        "a danger that is silenced, over, and there again",
        .simulated(
            [.simulated(1, "House")],
            zones: [
                .simulated(1, "Smoke", .h24Fire, in: [1]), .simulated(2, "Kitchen Smoke", .h24Fire, in: [1]),
            ]
        ),
        inputs: [.disarm(), .does(.silence), .arm(.away, instant: true)] + .doors(1...2) + .clock
    )

    /// Zones that fail, and zones that trip too often.
    static let troubles = SimulatedSite(
        "troubles",
        "devices offline, tamper, trouble, swinger shutdown",
        .simulated(
            [
                .simulated(1, "House") { $0.offlineZone = .alarm }, .simulated(2, "Office"),
                .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Window", .perimeter, in: [1]) {
                    $0.swingerLimit = 1
                    $0.deviceID = DeviceID(stored: "dev_1")
                },
                .simulated(2, "Skylight", .perimeter, in: [1]) { $0.swingerExempt = true },
                .simulated(3, "Motion", .interiorInstant, in: [2]) { $0.deviceID = DeviceID(stored: "dev_1") },
                .simulated(4, "Freezer", .troubleOnly, in: [2]),
            ]
        ),
        inputs: [
            .arm(.away, instant: true), .arm(.away, force: true, instant: true), .disarm(),
            .device(DeviceID(stored: "dev_1"), isOffline: true), .device(DeviceID(stored: "dev_1"), isOffline: false),
            .signal(SignalInput(zone: 2, .tamper)), .signal(SignalInput(zone: 3, .trouble)),
            .signal(SignalInput(zone: 3, .restored)),
            .advance(.quiet(seconds: 8 * 3600)),
        ] + .doors(1...4) + .clock
    )

    /// Zones that several partitions share.
    static let shared = SimulatedSite(
        "shared",
        "a common door and a common corridor beside a common area",
        .simulated(
            [
                .simulated(1, "North"), .simulated(2, "South", exit: ExitDelays(away: 2, stay: 0, night: 0, custom: 0)),
                .simulated(3, "Lobby", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Gate", .exitEntry, in: [1, 2]),
                .simulated(2, "Corridor", .interiorFollower, in: [1, 2]),
                .simulated(3, "North Door", .exitEntry, in: [1]), .simulated(4, "Lobby Glass", .perimeter, in: [3]),
            ]
        ),
        inputs: [
            .arm(.away), .arm(.away, .number(1)), .arm(.away, .number(2)), .arm(.stay, .number(2)),
            .arm(.away, .number(2), bypass: [1]), .disarm(.number(1)), .disarm(.number(2)), .disarm(),
        ] + .doors(1...4) + .clock
    )

    /// What a site of the European profile does otherwise.
    static let european = SimulatedSite(
        "european",
        "EN off-route warning; the other policies for violations and errors of an exit",
        .simulated(
            [
                .simulated(1, "House") {
                    $0.exitError = .autoBypass
                    $0.exitViolation = .alarm
                    $0.stayIfUnvacated = false
                },
                .simulated(2, "Office") {
                    $0.exitError = .armFailure
                    $0.exitViolation = .ignore
                    $0.exitRestart = false
                },
                .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Front Door", .exitEntry, in: [1]), .simulated(2, "Window", .perimeter, in: [1]),
                .simulated(3, "Motion", .interiorInstant, in: [1]) { $0.entryDelaySeconds = 1 },
                .simulated(4, "Office Door", .exitEntry, in: [2]) { $0.silent = true },
            ],
            profile: .enG2
        ),
        inputs: [
            .arm(.away), .arm(.away, .number(1)), .arm(.stay, .number(2)), .disarm(), .does(.skipExit),
        ] + .doors(1...4) + .clock
    )

    /// Who may do what.
    static let codes = SimulatedSite(
        "codes",
        "rights, one-time codes, lock-out, duress while locked",
        .simulated(
            [
                .simulated(1, "House", exit: ExitDelays(away: 2, stay: 0, night: 0, custom: 0)),
                .simulated(2, "Office"),
                .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Front Door", .exitEntry, in: [1]), .simulated(2, "Window", .perimeter, in: [1]),
                .simulated(3, "Hold-up", .h24PanicAudible, in: [1]), .simulated(4, "Motion", .interiorInstant, in: [2]),
            ],
            users: [.ann, .bob, .guest]
        ),
        inputs: [
            .arm(.away, .number(1), with: ann), .arm(.stay, .number(1), with: .code("bob")),
            .arm(.away, .number(1), with: .code("bob")), .arm(.stay, .number(1), with: .code("guest")),
            .arm(.stay, .number(1), with: .code("guest under duress")), .disarm(.number(1), with: ann),
            .disarm(.number(1), with: underDuress), .disarm(.number(1), with: .code("bob")),
            .disarm(.number(1), with: .code("wrong")), .disarm(.number(1), with: .missing),
            .disarm(.number(2), with: .code("bob under duress")),
            .signal(SignalInput(zone: 3, .triggered)), .signal(SignalInput(zone: 1, .open)),
            .signal(SignalInput(zone: 1, .closed)), .advance(.quiet(seconds: 300)),
        ] + .clock
    )

    /// What operators and apps do to alarms while the machine finds its own.
    static let operators = SimulatedSite(
        "operators",
        "alarms that are raised beside those that trip, hidden and seen; verifications and their deadlines",
        .simulated(
            [
                .simulated(1, "House") {
                    $0.abortWindowSeconds = 2
                    $0.verificationSeconds = 10
                },
                .simulated(2, "Office"), .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Window", .perimeter, in: [1]), .simulated(2, "Hold-up", .h24PanicSilent, in: [1]),
                .simulated(3, "Motion", .interiorInstant, in: [1]), .simulated(4, "Glass", .perimeter, in: [2]),
            ],
            users: [.ann]
        ),
        inputs: [
            .arm(.away, .number(1), instant: true), .disarm(.number(1), with: ann),
            .disarm(.number(1), with: underDuress), .raise(.intrusion, isSilent: false),
            .raise(.panic, isSilent: true), .raise(.duress, isSilent: true), .resolve(.intrusion), .resolve(.duress),
            .resolve(.panic), .answer, .signal(SignalInput(zone: 1, .triggered)),
            .signal(SignalInput(zone: 2, .triggered)), .signal(SignalInput(zone: 3, .triggered)),
        ] + .clock + .seconds
    )

    /// Zones that are not detectors, and detectors that take their time.
    static let keys = SimulatedSite(
        "keys",
        "a key switch, a zone that must stay open to count, a zone on the way in, a silent zone",
        .simulated(
            [
                .simulated(1, "House"), .simulated(2, "Office") { $0.abortWindowSeconds = 2 },
                .simulated(3, "Hall", commonAreaOf: [1, 2]),
            ],
            zones: [
                .simulated(1, "Key", .keySwitch, in: []), .simulated(2, "Front Door", .exitEntry, in: [1]),
                .simulated(3, "Motion", .interiorInstant, in: [1]) {
                    $0.delayOnSeconds = 2
                    $0.entryOverride = true
                },
                .simulated(4, "Back Window", .perimeter, in: [2]) { $0.silent = true },
            ]
        ),
        inputs: [
            .signal(SignalInput(zone: 1, .triggered)), .arm(.stay, .number(2), from: .schedule), .does(.skipExit),
            .signal(SignalInput(zone: 4, .tamper)), .disarm(.number(2)),
        ] + .doors(2...4) + .clock
    )

    /// Where the partner's panel is the authority.
    static let partner = SimulatedSite(
        "partner",
        "a partner's reports in and out of order, and what its zones do meanwhile",
        .simulated(
            [.simulated(1, "House"), .simulated(2, "Office")],
            zones: [
                .simulated(1, "Front Door", .exitEntry, in: [1]), .simulated(2, "Window", .perimeter, in: [1]),
                .simulated(3, "Smoke", .h24Fire, in: [2]), .simulated(4, "Motion", .interiorInstant, in: [2]),
            ],
            model: .partnerTriggered
        ),
        inputs: [
            .report(ReportInput(.disarmed)), .report(ReportInput(.armedAway)),
            .report(ReportInput(.armedStay, .number(1), age: 1)), .report(ReportInput(.disarmed, .number(1), age: -2)),
            .report(ReportInput(.armingInProgress, .number(1), mode: .away, delaySeconds: 2)),
            .report(ReportInput(.entryDelay, .number(1), delaySeconds: 2)),
            .report(ReportInput(.armFailure, .number(1))), .resolve(.intrusion),
            .signal(SignalInput(zone: 1, .triggered)), .signal(SignalInput(zone: 2, .triggered)),
            .signal(SignalInput(zone: 3, .triggered)), .signal(SignalInput(zone: 4, .triggered)),
        ] + .clock + .seconds
    )
}

@testable import TocsinCore

/// Bodies of every type of event that the log can hold: with all of its optional members, and with none.
enum EventSamples {
    static let all = alarms + devices + partitions + schedules + operations

    struct Pair: Sendable {
        var full: EventBody
        var least: EventBody

        init<Payload>(
            _ wrap: (Payload) -> EventBody,
            _ least: Payload,
            fill: (inout Payload) -> Void = { _ in }
        ) {
            var full = least
            fill(&full)
            self.full = wrap(full)
            self.least = wrap(least)
        }
    }

    static let time = Instant(secondsSinceEpoch: 1_780_000_000)
    static let place = EventPlace(id: EventID(stored: "evt_1"), sequence: 17, createdAt: time)

    private static let alarm = AlarmReference.existing(AlarmNumber(10293))
    private static let site = SiteID(stored: "site_1")
    private static let partition = PartitionID(stored: "p_1")
    private static let device = DeviceID(stored: "dev_1")
    private static let schedule = ScheduleID(stored: "sch_1")
    private static let endpoint = EndpointID(stored: "ep_1")
    private static let ann = Attribution(userID: "usr_1", name: "Ann “\u{1}” 🚪", source: .keypad)
    private static let nobody = Attribution(source: .system)
    private static let reasons = [
        ArmFailureReason(code: "zone_open", zoneNumber: 5, zoneName: "Back Door", message: "m", remedy: "r"),
        ArmFailureReason(code: "partner_rejected", zoneNumber: nil, zoneName: nil, message: "m", remedy: "r"),
    ]

    private static let alarms = [
        Pair(
            EventBody.alarmCreated,
            AlarmCreated(alarm: alarm, siteID: site, priority: .low, trigger: "panic", location: nil)
        ) {
            $0.deviceID = device
            $0.location = "Main Entrance"
            $0.snapshotURL = "https://tocsin.example/media/1"
            $0.isLate = true
            $0.lateByMilliseconds = 7000
        },
        Pair(EventBody.alarmAcknowledged, AlarmAcknowledged(alarm: alarm, operatorID: nil, reason: nil)) {
            $0.operatorID = "op_1"
            $0.reason = "r"
        },
        Pair(
            EventBody.alarmDispatched,
            AlarmDispatched(
                alarm: alarm,
                responderID: "rsp_1",
                responderType: "guard",
                etaSeconds: 240,
                trackingURL: nil
            )
        ) { $0.trackingURL = "https://dispatch.example/d/1" },
        Pair(EventBody.alarmResolved, AlarmResolved(alarm: alarm, resolution: .falsePositive, notes: nil)) {
            $0.notes = "Cleaning crew"
        },
        Pair(
            EventBody.alarmEscalated,
            AlarmEscalated(
                alarm: alarm,
                siteID: site,
                priority: .critical,
                reason: AlarmEscalated.verificationExpired
            )
        ) {
            $0.operatorID = "op_1"
            $0.lateByMilliseconds = 6_000
        },
        Pair(EventBody.alarmAnnotated, AlarmAnnotated(alarm: alarm, siteID: site, source: "panel")) {
            $0.verdict = "confirmed"
            $0.notes = "n"
            $0.confidence = 0.000_01
            $0.operatorID = "op_1"
        },
        Pair(
            EventBody.alarmActivity,
            AlarmActivity(
                alarm: .existing(AlarmNumber(1)),
                siteID: site,
                partitionID: partition,
                zones: [AlarmActivity.Zone(number: 5, name: "Back Door"), AlarmActivity.Zone(number: 6, name: "")],
                isVerified: true
            )
        ),
        Pair(
            EventBody.verificationRequested,
            VerificationRequested(alarm: alarm, requestedBy: "site", deadlineSeconds: 90)
        ),
    ]

    private static let devices = [
        Pair(EventBody.deviceOnline, DeviceOnline(deviceID: device, siteID: site, downtimeSeconds: 142)),
        Pair(EventBody.deviceOffline, DeviceOffline(deviceID: device, siteID: site, lastSeenAt: time)),
        Pair(
            EventBody.deviceFirmwareUpdated,
            DeviceFirmwareUpdated(deviceID: device, siteID: site, previousVersion: nil, version: "4.2.0")
        ) { $0.previousVersion = "4.1.0" },
        Pair(
            EventBody.snapshotCreated,
            SnapshotCreated(
                snapshotID: SnapshotID(stored: "snap_1"),
                deviceID: device,
                alarm: nil,
                url: "https://tocsin.example/media/1",
                expiresAt: time
            )
        ) { $0.alarm = alarm },
        Pair(
            EventBody.relayActivated,
            RelayActivated(
                relayID: RelayID(stored: "rel_1"),
                deviceID: nil,
                durationSeconds: 30,
                trigger: .manual("op_1")
            )
        ) {
            $0.deviceID = device
            $0.trigger = .alarm(alarm)
        },
    ]

    private static let partitions = [
        Pair(
            EventBody.armingStateChanged,
            ArmingStateChanged(
                siteID: site,
                partitionID: partition,
                newState: "entry_delay",
                previousState: "armed_custom",
                timestamp: time,
                triggeredBy: "user_123",
                source: .autoArm
            )
        ),
        Pair(
            EventBody.partitionArmed,
            PartitionArmed(partitionID: partition, siteID: site, mode: "away", by: "user")
        ),
        Pair(
            EventBody.partitionDisarmed,
            PartitionDisarmed(partitionID: partition, siteID: site, by: "remote", operatorID: nil)
        ) { $0.operatorID = "op_1" },
        Pair(
            EventBody.armingFailed,
            ArmingFailed(siteID: site, partitionID: partition, mode: nil, message: "m", reasons: [], by: nobody)
        ) {
            $0.mode = "night"
            $0.reasons = reasons
            $0.by = ann
        },
    ]

    private static let schedules = [
        Pair(
            EventBody.armingWarning,
            ArmingWarning(
                siteID: site,
                partitionID: partition,
                scheduleID: schedule,
                mode: "away",
                at: time,
                postponableUntil: nil,
                message: "m"
            )
        ) { $0.postponableUntil = time },
        Pair(
            EventBody.armingException,
            ArmingException(siteID: site, partitionID: partition, kind: .earlyOpen, message: "m", by: nil)
        ) { $0.by = ann },
        Pair(
            EventBody.scheduleFailed,
            ScheduleFailed(
                siteID: site,
                partitionID: partition,
                scheduleID: schedule,
                action: "arm_custom",
                dueAt: time,
                message: "m",
                reasons: []
            )
        ) { $0.reasons = reasons },
    ]

    private static let operations = [
        Pair(
            EventBody.syncOverdue,
            SyncOverdue(
                siteID: site,
                partitionID: partition,
                state: "arming_in_progress",
                since: time,
                message: "m"
            )
        ),
        Pair(
            EventBody.syncLate,
            SyncLate(
                siteID: site,
                partitionID: nil,
                state: "arm_failure",
                timestamp: time,
                lateByMilliseconds: 5001,
                message: "m"
            )
        ) { $0.partitionID = partition },
        Pair(
            EventBody.syncFailed,
            SyncFailed(
                siteID: site,
                partitionID: nil,
                command: "disarm",
                commandID: EventID(stored: "evt_2"),
                reason: "partner_rejected",
                message: "m"
            )
        ) { $0.partitionID = partition },
        Pair(EventBody.endpointDisabled, notice) { $0.failingSince = time },
        Pair(EventBody.endpointFailing, notice) { $0.failingSince = time },
        Pair(EventBody.testPing, TestPing(endpointID: endpoint, message: "m")),
    ]

    private static let notice = EndpointNotice(
        endpointID: endpoint,
        url: "https://receiver.example/hook",
        reason: "gone",
        message: "m",
        failingSince: nil
    )
}

extension EventSamples {
    /// The command that is put to partners, with all and with none of its optional members.
    static let commands = [
        PartnerCommand(
            command(
                .arm(
                    ArmingCommand.ArmRequest(
                        mode: .custom(name: "vacation"),
                        bypassZones: [5],
                        force: true,
                        instant: true,
                        noEntryDelay: true
                    )
                ),
                by: ann
            ),
            site: fixture(externalID: "ms-1"),
            partitionNumbers: [1, 2]
        ),
        PartnerCommand(command(.disarm, by: nobody), site: fixture(externalID: nil), partitionNumbers: []),
    ]

    private static func command(_ action: PendingCommand.Action, by: Attribution) -> PendingCommand {
        PendingCommand(
            id: place.id,
            action: action,
            partitions: [partition],
            by: by,
            isDuress: false,
            receivedAt: time,
            expiresAt: time + PendingCommand.patience
        )
    }

    private static func fixture(externalID: String?) -> Site {
        Site(
            id: site,
            dealerID: DealerID(stored: "dlr_1"),
            partnerID: PartnerID(stored: "prt_1"),
            externalID: externalID,
            name: "Main Street 1",
            timezone: "UTC",
            address: nil,
            testMode: false,
            armingModel: .platformTriggered,
            createdAt: time
        )
    }
}

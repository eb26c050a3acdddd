import TocsinJSON

package struct AlarmCreated: Hashable, Sendable {
    /// The alarm's number in its dealer; known only when the commit has given it.
    package var alarm: AlarmReference
    package var siteID: SiteID
    package var deviceID: DeviceID?
    package var priority: AlarmPriority
    package var trigger: String
    package var location: String?
    package var snapshotURL: String?
    /// It tells of a time that was over when we heard of it (decisions §14).
    package var isLate: Bool
    /// How much later than its deadline it was raised, in milliseconds, where that matters (T45).
    package var lateByMilliseconds: Int64?

    package init(
        alarm: AlarmReference,
        siteID: SiteID,
        deviceID: DeviceID? = nil,
        priority: AlarmPriority,
        trigger: String,
        location: String?,
        snapshotURL: String? = nil,
        isLate: Bool = false,
        lateByMilliseconds: Int64? = nil
    ) {
        self.isLate = isLate
        self.lateByMilliseconds = lateByMilliseconds
        self.alarm = alarm
        self.siteID = siteID
        self.deviceID = deviceID
        self.priority = priority
        self.trigger = trigger
        self.location = location
        self.snapshotURL = snapshotURL
    }
}

extension AlarmCreated: EventPayload {
    package static let members: [EventMember<Self>] = [
        .alarm { $0.alarm },
        .site { $0.siteID },
        .optional("device_id", "The device that reported it.", example: "dev_8h2j3kfm") { $0.deviceID },
        .required("priority", "How urgent it is.", example: "HIGH") { $0.priority },
        .required(
            "trigger",
            "What set it off: `motion`, `panic`, `door-forced`, `glass-break`, `duress`, or the kind of the zone.",
            example: "motion"
        ) { $0.trigger },
        .optional("location", "The zone's name.", example: "Main Entrance") { $0.location },
        .optional(
            "snapshot_url",
            "Where a picture is, for 24 hours.",
            form: .url,
            example: "https://tocsin.example/media/snap_91kxl2"
        ) { $0.snapshotURL },
        .optional("late", "It tells of a time that was over when Tocsin heard of it.") { $0.isLate ? true : nil },
        .optional("late_by_ms", "How much later than its deadline it was raised, in milliseconds.") {
            $0.lateByMilliseconds
        },
    ]
}

/// Further zones tripped into an alarm that is open (T29).
package struct AlarmActivity: Hashable, Sendable {
    package struct Zone: Hashable, Sendable {
        package var number: Int
        package var name: String

        package init(number: Int, name: String) {
            self.number = number
            self.name = name
        }
    }

    package var alarm: AlarmReference
    package var siteID: SiteID
    package var partitionID: PartitionID
    package var zones: [Zone]
    /// Two independent detectors have tripped (T30).
    package var isVerified: Bool

    package init(
        alarm: AlarmReference,
        siteID: SiteID,
        partitionID: PartitionID,
        zones: [Zone],
        isVerified: Bool
    ) {
        self.alarm = alarm
        self.siteID = siteID
        self.partitionID = partitionID
        self.zones = zones
        self.isVerified = isVerified
    }
}

extension AlarmActivity: EventPayload {
    package static let members: [EventMember<Self>] = [
        .alarm { $0.alarm },
        .site { $0.siteID },
        .partition { $0.partitionID },
        .required("zones", "The zones that tripped.", example: [["number": 5, "name": "Back Door"]]) { $0.zones },
        .required("verified", "Whether two independent detectors have tripped.", example: true) { $0.isVerified },
    ]
}

extension AlarmActivity.Zone: EventPayload {
    package static let members: [EventMember<Self>] = [
        .required("number", "The zone's number.", form: .number) { $0.number },
        .required("name", "The zone's name.") { $0.name },
    ]
}

/// An operator, human or app, took the alarm on.
package struct AlarmAcknowledged: Hashable, Sendable {
    package var alarm: AlarmReference
    /// The person or the app, where there is one.
    package var operatorID: String?
    package var reason: String?

    package init(alarm: AlarmReference, operatorID: String?, reason: String?) {
        self.alarm = alarm
        self.operatorID = operatorID
        self.reason = reason
    }
}

extension AlarmAcknowledged: EventPayload {
    package static let members: [EventMember<Self>] = [
        .alarm { $0.alarm },
        .operatorID("The person or app that acknowledged it.") { $0.operatorID },
        .optional("reason", "Why, in their words.", example: "Seen on camera, confidence 0.92") { $0.reason },
    ]
}

/// A responder was sent to the alarm's place.
package struct AlarmDispatched: Hashable, Sendable {
    package var alarm: AlarmReference
    package var responderID: String
    /// What the responder is, in the caller's word, for example `guard`.
    package var responderType: String
    package var etaSeconds: Int
    package var trackingURL: String?

    package init(
        alarm: AlarmReference,
        responderID: String,
        responderType: String,
        etaSeconds: Int,
        trackingURL: String?
    ) {
        self.alarm = alarm
        self.responderID = responderID
        self.responderType = responderType
        self.etaSeconds = etaSeconds
        self.trackingURL = trackingURL
    }
}

extension AlarmDispatched: EventPayload {
    package static let members: [EventMember<Self>] = [
        .alarm { $0.alarm },
        .required("responder_id", "Who was sent, in the caller's terms.", example: "rsp_8x2k") { $0.responderID },
        .required("responder_type", "What the responder is, in the caller's word.", example: "guard") {
            $0.responderType
        },
        .required("eta_seconds", "How long until they are there.", example: 240) { $0.etaSeconds },
        .optional(
            "tracking_url",
            "Where they can be followed.",
            form: .url,
            example: "https://dispatch.example/d/8x2k"
        ) { $0.trackingURL },
    ]
}

/// The alarm was closed.
package struct AlarmResolved: Hashable, Sendable {
    package var alarm: AlarmReference
    package var resolution: AlarmResolution
    package var notes: String?

    package init(alarm: AlarmReference, resolution: AlarmResolution, notes: String?) {
        self.alarm = alarm
        self.resolution = resolution
        self.notes = notes
    }
}

extension AlarmResolved: EventPayload {
    package static let members: [EventMember<Self>] = [
        .alarm { $0.alarm },
        .required("resolution", "What came of it.", example: "false-positive") { $0.resolution },
        .optional("notes", "More, in the operator's words.", example: "Cleaning crew") { $0.notes },
    ]
}

/// The alarm was raised to a higher instance; its way to being resolved stays open (decisions §6).
package struct AlarmEscalated: Hashable, Sendable {
    /// The reason where nobody answered a verification in time.
    package static let verificationExpired = "verification-expired"
    /// The reason where what became a part of the alarm is more urgent than it was.
    package static let joined = "triggered-again"

    package var alarm: AlarmReference
    package var siteID: SiteID
    package var priority: AlarmPriority
    /// ``verificationExpired``, ``joined``, or the caller's words.
    package var reason: String
    package var operatorID: String?
    /// How much later than the deadline it was told, in milliseconds, where that matters (T45).
    package var lateByMilliseconds: Int64?

    package init(
        alarm: AlarmReference,
        siteID: SiteID,
        priority: AlarmPriority,
        reason: String,
        operatorID: String? = nil,
        lateByMilliseconds: Int64? = nil
    ) {
        self.lateByMilliseconds = lateByMilliseconds
        self.alarm = alarm
        self.siteID = siteID
        self.priority = priority
        self.reason = reason
        self.operatorID = operatorID
    }
}

extension AlarmEscalated: EventPayload {
    package static let members: [EventMember<Self>] = [
        .alarm { $0.alarm },
        .site { $0.siteID },
        .required("priority", "How urgent the alarm is.", example: "HIGH") { $0.priority },
        .required(
            "reason",
            "`verification-expired` when nobody answered in time, `triggered-again` when something more urgent became a part "
                + "of the alarm, else the caller's words.",
            example: "verification-expired"
        ) { $0.reason },
        .operatorID("The person or app that escalated it; none where Tocsin did.", example: nil) {
            $0.operatorID
        },
        .optional("late_by_ms", "How much later than its deadline it was told, in milliseconds.") {
            $0.lateByMilliseconds
        },
    ]
}

/// Something was written to an alarm: by an operator, an app, or the panel when a disarm cancels it (T28).
package struct AlarmAnnotated: Hashable, Sendable {
    /// The panel's verdict on an alarm that a disarm cancelled (T28).
    package static let cancelled = "cancelled"

    package var alarm: AlarmReference
    package var siteID: SiteID
    /// Who wrote it, for example `panel`, `operator` or `app`.
    package var source: String
    package var verdict: String?
    package var notes: String?
    /// How sure the verdict is, from 0 to 1.
    package var confidence: Double?
    package var operatorID: String?

    package init(
        alarm: AlarmReference,
        siteID: SiteID,
        source: String,
        verdict: String? = nil,
        notes: String? = nil,
        confidence: Double? = nil,
        operatorID: String? = nil
    ) {
        self.alarm = alarm
        self.siteID = siteID
        self.source = source
        self.verdict = verdict
        self.notes = notes
        self.confidence = confidence
        self.operatorID = operatorID
    }
}

extension AlarmAnnotated: EventPayload {
    package static let members: [EventMember<Self>] = [
        .alarm { $0.alarm },
        .site { $0.siteID },
        .required("source", "Who wrote it: `panel`, `operator`, `app`, `partner`.", example: "app") { $0.source },
        .optional("verdict", "What it says of the alarm, in one word.", example: "confirmed") { $0.verdict },
        .optional("notes", "What was written.", example: "Two people at the rear door") { $0.notes },
        .optional("confidence", "How sure the verdict is.", example: .decimal("0.92")) { $0.confidence },
        .operatorID("The person or app that wrote it.") { $0.operatorID },
    ]
}

/// Somebody wants to know whether the alarm is real, and until when.
package struct VerificationRequested: Hashable, Sendable {
    package var alarm: AlarmReference
    /// `operator`, `app`, `partner` or `site`.
    package var requestedBy: String
    /// From the request on; when it passes without an answer, the alarm is escalated.
    package var deadlineSeconds: Int

    package init(alarm: AlarmReference, requestedBy: String, deadlineSeconds: Int) {
        self.alarm = alarm
        self.requestedBy = requestedBy
        self.deadlineSeconds = deadlineSeconds
    }
}

extension VerificationRequested: EventPayload {
    package static let members: [EventMember<Self>] = [
        .alarm { $0.alarm },
        .required(
            "requested_by",
            "Who wants to know; `site` where the site asks for it by itself.",
            form: .words(["operator", "app", "partner", "site"]),
            example: "operator"
        ) { $0.requestedBy },
        .required("deadline_seconds", "How long an answer is awaited before the alarm is escalated.", example: 90) {
            $0.deadlineSeconds
        },
    ]
}

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

/// The alarm was raised to a higher instance; its way to being resolved stays open (decisions §6).
package struct AlarmEscalated: Hashable, Sendable {
    /// The reason where nobody answered a verification in time.
    package static let verificationExpired = "verification-expired"

    package var alarm: AlarmReference
    package var siteID: SiteID
    package var priority: AlarmPriority
    /// ``verificationExpired``, or the caller's words.
    package var reason: String
    package var operatorID: String?

    package init(
        alarm: AlarmReference,
        siteID: SiteID,
        priority: AlarmPriority,
        reason: String,
        operatorID: String? = nil
    ) {
        self.alarm = alarm
        self.siteID = siteID
        self.priority = priority
        self.reason = reason
        self.operatorID = operatorID
    }
}

/// Something was written to an alarm: by an operator, an app, or the panel when a disarm cancels it (T28).
package struct AlarmAnnotated: Hashable, Sendable {
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

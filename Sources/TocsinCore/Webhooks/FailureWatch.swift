/// Knows since when an endpoint has seen nothing but failures, and what that must be answered with.
///
/// The count survives restarts, for the ledger keeps `failingSince`. What was announced already need not be kept: an
/// announcement's event id follows from the endpoint, the time and the stage, so a second one is recognised.
package struct FailureWatch: Hashable, Sendable {
    /// How long failures have gone on when something is said about it (design, delivery: exhausted).
    package enum Stage: Int, CaseIterable, Comparable, Sendable {
        case anHour
        case half
        case seventyPercent
        case ninetyPercent
        case disabled

        package var after: Duration {
            switch self {
            case .anHour: .seconds(3600)
            case .half: FailureWatch.patience * 5 / 10
            case .seventyPercent: FailureWatch.patience * 7 / 10
            case .ninetyPercent: FailureWatch.patience * 9 / 10
            case .disabled: FailureWatch.patience
            }
        }

        package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    /// An endpoint that fails for as long as this is disabled.
    package static let patience: Duration = .seconds(5 * 86_400)

    package private(set) var failingSince: Instant?
    private var announced: Stage?

    package init(failingSince: Instant?) { self.failingSince = failingSince }

    /// When there is something to say without another failure: the first hour is told on time.
    ///
    /// The later stages wait for a failure, so that a quiet endpoint is not disabled for an old one.
    package var nextAnnouncement: Instant? {
        announced == nil ? failingSince.map { $0 + Stage.anHour.after } : nil
    }

    /// Notes a success; true if that ended a time of failures.
    package mutating func succeeded() -> Bool {
        guard failingSince != nil else { return false }
        failingSince = nil
        announced = nil
        return true
    }

    /// Notes a failure; true if it is the first after a success.
    package mutating func failed(at now: Instant) -> Bool {
        guard failingSince == nil else { return false }
        failingSince = now
        return true
    }

    /// The stage that must be announced now, if any; `afterFailure` allows those beyond the first.
    package mutating func dueStage(now: Instant, afterFailure: Bool) -> Stage? {
        guard let failingSince else { return nil }
        let candidates = afterFailure ? Stage.allCases : [.anHour]
        guard let stage = candidates.last(where: { failingSince + $0.after <= now }),
            announced.map({ $0 < stage }) ?? true
        else { return nil }
        announced = stage
        return stage
    }
}

/// An event that an endpoint itself gives rise to: `endpoint.failing` or `endpoint.disabled`.
package struct EndpointAnnouncement: Hashable, Sendable {
    package enum Reason: Hashable, Sendable {
        /// Nothing but failures for as long as the stage says.
        case failing(FailureWatch.Stage, since: Instant)
        /// The receiver answered 410.
        case gone(at: Instant)
        /// The certificate that is shown to its receiver ends soon.
        case certificateExpiring(CertificateWatch.Stage, at: Instant)
    }

    package var endpointID: EndpointID
    package var reason: Reason

    package init(endpointID: EndpointID, reason: Reason) {
        self.endpointID = endpointID
        self.reason = reason
    }

    /// Whether the endpoint is disabled with it.
    package var disables: Bool {
        switch reason {
        case .failing(let stage, _): stage == .disabled
        case .gone: true
        case .certificateExpiring: false
        }
    }

    /// The code that `disabled_reason` and the event carry.
    package var code: String {
        switch reason {
        case .failing: "failing"
        case .gone: "gone"
        case .certificateExpiring: "certificate_expiring"
        }
    }

    /// The same for the same announcement, however often it is made.
    package var eventID: EventID {
        switch reason {
        case .failing(let stage, let since): eventID(at: since + stage.after, salt: UInt64(stage.rawValue))
        case .gone(let instant): eventID(at: instant, salt: UInt64(FailureWatch.Stage.allCases.count))
        case .certificateExpiring(let stage, let end):
            eventID(at: end - stage.before, salt: UInt64(FailureWatch.Stage.allCases.count + 1 + stage.rawValue))
        }
    }

    private func eventID(at instant: Instant, salt: UInt64) -> EventID {
        // FNV-1a over the endpoint's id: all that is asked of it is to tell endpoints and stages apart.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 &+ salt
        for byte in endpointID.text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return EventID(at: instant, random: (high: UInt16(truncatingIfNeeded: hash >> 48), low: hash &* (salt &+ 3)))
    }

    /// The event's body; `url` is the endpoint's.
    package func body(url: String) -> EventBody {
        switch reason {
        case .failing(let stage, let since):
            let notice = EndpointNotice(
                endpointID: endpointID,
                url: url,
                reason: code,
                message: Self.message(stage),
                failingSince: since
            )
            return stage == .disabled ? .endpointDisabled(notice) : .endpointFailing(notice)
        case .gone:
            let message =
                "The receiver answered 410, so the endpoint was disabled; enable it when the receiver is back."
            return .endpointDisabled(
                EndpointNotice(endpointID: endpointID, url: url, reason: code, message: message, failingSince: nil)
            )
        case .certificateExpiring(let stage, let end):
            let days = stage == .day ? "a day" : "\(stage.days) days"
            let message =
                "The endpoint’s client certificate expires at \(end.rfc3339Seconds), within \(days); give it another one, "
                + "or the receiver will refuse every delivery."
            return .endpointFailing(
                EndpointNotice(endpointID: endpointID, url: url, reason: code, message: message, failingSince: nil)
            )
        }
    }

    private static func message(_ stage: FailureWatch.Stage) -> String {
        switch stage {
        case .anHour: "Every attempt has failed for an hour; the endpoint will be disabled after five days of this."
        case .half: "Every attempt has failed for two and a half days; the endpoint will be disabled after five."
        case .seventyPercent:
            "Every attempt has failed for three and a half days; the endpoint will be disabled after five."
        case .ninetyPercent:
            "Every attempt has failed for four and a half days; the endpoint will be disabled after five."
        case .disabled: "Every attempt has failed for five days, so the endpoint was disabled; what is pending is kept."
        }
    }
}

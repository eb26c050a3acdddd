/// Knows when it has to be told that the certificate which an endpoint's receiver asks of us will expire.
///
/// What was told already need not be kept: an announcement's event id follows from the endpoint, the certificate's end and
/// the stage, so a second one is recognised.
package struct CertificateWatch: Hashable, Sendable {
    /// How long before the end it is told: in time to order another, to give it, and to be called at once.
    package enum Stage: Int, CaseIterable, Sendable {
        case month
        case week
        case day

        package var days: Int {
            switch self {
            case .month: 30
            case .week: 7
            case .day: 1
            }
        }

        var before: Duration { .seconds(days * 86_400) }
    }

    package let expiresAt: Instant
    private var told: Stage?

    package init(expiresAt: Instant) { self.expiresAt = expiresAt }

    /// When the next stage is due, told or not; none behind the last.
    package var nextAnnouncement: Instant? {
        let next = Stage.allCases.first { stage in told.map { stage.rawValue > $0.rawValue } ?? true }
        return next.map { expiresAt - $0.before }
    }

    /// The stage that must be announced now, if any; of several that have passed, the last.
    package mutating func dueStage(now: Instant) -> Stage? {
        guard let stage = Stage.allCases.last(where: { expiresAt - $0.before <= now }), stage != told else {
            return nil
        }
        told = stage
        return stage
    }
}

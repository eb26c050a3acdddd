/// What a site's people are told of, beside the log and the webhooks (decisions §4; design, schedules).
package enum NoticeKind: String, CaseIterable, Sendable {
    /// An arming did not come about, and why.
    case armingFailed = "arming_failed"
    /// A schedule is about to arm.
    case armingWarning = "arming_warning"
}

/// A message to a site's people, before the commit finds out who they are.
///
/// Its words hold names that strangers chose: they are text, and whoever sends them encodes them.
package struct NoticeDraft: Hashable, Sendable {
    package var kind: NoticeKind
    package var partitionID: PartitionID?
    /// One line.
    package var subject: String
    package var text: String

    package init(kind: NoticeKind, partitionID: PartitionID?, subject: String, text: String) {
        self.kind = kind
        self.partitionID = partitionID
        self.subject = subject
        self.text = text
    }

    /// More reasons than anybody reads; the event and the API have them all.
    package static let reasonsShown = 20
}

extension NoticeDraft {
    /// Tells why a partition was not armed, and what to do about it.
    package init(_ failure: ArmingFailed, site: Site, partition: Partition) {
        var lines = ["\(partition.name) at \(site.name) was not armed.", ""]
        for reason in failure.reasons.prefix(Self.reasonsShown) {
            lines.append("- \(reason.message). \(reason.remedy).")
        }
        let hidden = failure.reasons.count - Self.reasonsShown
        if hidden > 0 { lines.append("- and \(hidden) more") }
        self.init(
            kind: .armingFailed,
            partitionID: partition.id,
            subject: "\(site.name): \(failure.message)",
            text: lines.joined(separator: "\n")
        )
    }
}

/// A draft with the id that its messages to all its people share.
package struct IssuedNotice: Hashable, Sendable {
    package var id: NoticeID
    package var draft: NoticeDraft

    package init(id: NoticeID, draft: NoticeDraft) {
        self.id = id
        self.draft = draft
    }
}

/// One message to one person, as the ledger keeps it.
package struct Notice: Hashable, Sendable {
    package enum State: String, Sendable {
        /// Not sent yet, or to be tried again.
        case waiting
        case sent
        /// Given up.
        case failed
    }

    package var id: NoticeID
    /// The site's user or contact.
    package var personID: String
    /// The person's e-mail address as it is now; none if it was taken out since.
    package var address: String?
    package var dealerID: DealerID
    package var siteID: SiteID
    package var kind: NoticeKind
    package var subject: String
    package var text: String
    package var createdAt: Instant
    package var state: State
    /// How often it was tried.
    package var attempts: Int
    package var nextAttemptAt: Instant?
    package var lastError: String?

    package init(
        id: NoticeID,
        personID: String,
        address: String?,
        dealerID: DealerID,
        siteID: SiteID,
        kind: NoticeKind,
        subject: String,
        text: String,
        createdAt: Instant,
        state: State = .waiting,
        attempts: Int = 0,
        nextAttemptAt: Instant? = nil,
        lastError: String? = nil
    ) {
        self.id = id
        self.personID = personID
        self.address = address
        self.dealerID = dealerID
        self.siteID = siteID
        self.kind = kind
        self.subject = subject
        self.text = text
        self.createdAt = createdAt
        self.state = state
        self.attempts = attempts
        self.nextAttemptAt = nextAttemptAt
        self.lastError = lastError
    }

    /// The same on every attempt, so that a message that was sent twice can be told.
    package var messageID: String { "\(id.text).\(personID)" }

    /// People of one site who are told; beyond it one failed arming would be a mass mailing.
    package static let recipientsMaximum = 200
    /// How long after a failed attempt the next one follows; after the last of these it is given up.
    package static let retryDelays: [Duration] = [.seconds(60), .seconds(300), .seconds(1_800), .seconds(7_200)]
    /// What is older, because the server was down, is not news any more and is not sent.
    package static let lifetime: Duration = .seconds(86_400)
}

/// What became of one attempt to send a notice.
package struct NoticeOutcome: Hashable, Sendable {
    package var id: NoticeID
    package var personID: String
    package var state: Notice.State
    package var attempts: Int
    package var nextAttemptAt: Instant?
    package var error: String?
}

extension Notice {
    /// The attempt succeeded.
    package var sent: NoticeOutcome { outcome(.sent, after: attempts + 1) }

    /// The attempt failed at `now`: it is tried again, unless that is of no use or it was the last.
    package func failed(_ error: String, isPermanent: Bool, at now: Instant) -> NoticeOutcome {
        let isLast = attempts >= Self.retryDelays.count
        if isPermanent || isLast { return outcome(.failed, after: attempts + 1, error: error) }
        return outcome(.waiting, after: attempts + 1, due: now + Self.retryDelays[attempts], error: error)
    }

    /// It is given up without an attempt.
    package func abandoned(_ error: String) -> NoticeOutcome { outcome(.failed, after: attempts, error: error) }

    private func outcome(
        _ state: State,
        after attempts: Int,
        due: Instant? = nil,
        error: String? = nil
    ) -> NoticeOutcome {
        NoticeOutcome(
            id: id,
            personID: personID,
            state: state,
            attempts: attempts,
            nextAttemptAt: due,
            error: error
        )
    }
}

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

import Logging
import TocsinCore

/// Takes one notice to its person.
package protocol Notifier: Sendable {
    /// Returns once somebody else answers for the message.
    ///
    /// Called again with the same notice after a failure, and after a crash even if it had returned.
    func deliver(_ notice: Notice) async throws(NotifierError)
}

/// Why a notice did not reach its person.
package struct NotifierError: Error, Hashable, Sendable {
    package enum Code: String, Sendable, CaseIterable {
        /// The person's address is not one that mail can be sent to.
        case badAddress = "bad_address"
        /// The mail server could not be reached.
        case unreachable
        /// No connection as private as the settings ask for.
        case insecure
        case timeout
        /// The mail server broke off, or said what no mail server says.
        case broken
        /// The mail server said no.
        case refused
        case stopped
    }

    package var code: Code
    package var sentence: String
    /// Whether trying this notice again is of no use.
    package var isPermanent: Bool

    package init(_ code: Code, _ sentence: String, isPermanent: Bool = false) {
        self.code = code
        self.sentence = sentence
        self.isPermanent = isPermanent
    }
}

/// Tells the log instead of the person, where no mail server is set.
package struct LogNotifier: Notifier {
    private let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    package func deliver(_ notice: Notice) async throws(NotifierError) {
        logger.notice(
            "a notice that no mail server is set for",
            metadata: [
                "notice.id": "\(notice.messageID)", "notice.kind": "\(notice.kind.rawValue)",
                "site.id": "\(notice.siteID)", "to": "\(Self.redacted(notice.address ?? ""))",
                "subject": "\(notice.subject)",
            ]
        )
    }

    /// The address without what tells whose it is: its first letter and its domain.
    package static func redacted(_ address: String) -> String {
        guard let at = address.lastIndex(of: "@") else { return "…" }
        return "\(address.prefix(1))…\(address[at...])"
    }
}

/// An attempt that is worded, signed and made on the event loop of its connection, without a task of its own.
///
/// A task for each attempt changes threads three times, and stands in the one queue that everything else stands in too.
package struct Errand: Sendable {
    /// Hears how the attempt ended, on the event loop of its connection; must return at once.
    package typealias End = @Sendable (WebhookOutcome) -> Void

    /// Attempts to one URL share an event loop; none if there is nowhere to send to.
    package let url: EndpointURL?
    /// To be taken before others, and not counted among those that wait for this machine.
    package let isUrgent: Bool
    /// Making its TLS context may take long: not on an event loop.
    package let hasCertificate: Bool
    /// Words and signs the request, when its turn has come.
    package let word: @Sendable () -> (request: Result<WebhookRequest, WebhookFailure>, end: End)

    package init(
        url: EndpointURL?,
        isUrgent: Bool,
        hasCertificate: Bool,
        word: @escaping @Sendable () -> (request: Result<WebhookRequest, WebhookFailure>, end: End)
    ) {
        self.url = url
        self.isUrgent = isUrgent
        self.hasCertificate = hasCertificate
        self.word = word
    }
}

/// What a sender tells of the errands that it was given, on any thread; all must return at once.
package protocol ErrandListener: Sendable {
    /// So many that are not urgent have left: nothing on this machine holds them up any more.
    func left(_ count: Int)

    /// Called once after some have left or ended: there is no need to look at each by itself.
    func wake()
}

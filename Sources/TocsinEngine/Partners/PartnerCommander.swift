import TocsinCore

/// Puts commands to partners that want to be asked (decisions §5).
package protocol PartnerCommander: Sendable {
    /// Reads who wants to be asked; called before the first command is decided.
    func start() async throws

    /// Whether an enabled endpoint of the partner takes commands; must answer at once.
    func asks(_ partner: PartnerID) -> Bool

    /// Asks, and returns what was answered; ends within ``PendingCommand/patience`` or soon after.
    func ask(_ inquiry: PartnerInquiry) async -> PartnerAnswer

    /// Ends what is under way; nothing is asked afterwards.
    func stop() async
}

/// A command as it is put to the partner, in one signed POST.
package struct PartnerInquiry: Sendable {
    /// The command's, the same however often it is sent.
    package var id: EventID
    package var siteID: SiteID
    package var partnerID: PartnerID
    package var dealerID: DealerID
    /// The bytes of the envelope.
    package var body: [UInt8]

    package init(id: EventID, siteID: SiteID, partnerID: PartnerID, dealerID: DealerID, body: [UInt8]) {
        self.id = id
        self.siteID = siteID
        self.partnerID = partnerID
        self.dealerID = dealerID
        self.body = body
    }
}

extension PartnerInquiry {
    /// The inquiry about a command that waits at a site; none where the site has no partner.
    init?(_ command: PendingCommand, at configuration: SiteConfiguration) {
        let site = configuration.site
        guard let partner = site.partnerID else { return nil }
        let numbers = configuration.partitions.filter { command.partitions.contains($0.id) }.map(\.number)
        self.init(
            id: command.id,
            siteID: site.id,
            partnerID: partner,
            dealerID: site.dealerID,
            body: PartnerCommand(command, site: site, partitionNumbers: numbers).encoded()
        )
    }
}

import TocsinCore

extension Site {
    /// A partner's site, as the documents' examples name it.
    static func sample(createdAt: Instant = Instant(secondsSinceEpoch: 1_779_000_000)) -> Site {
        Site(
            id: SiteID(stored: "site_123"),
            dealerID: DealerID(stored: "dlr_1"),
            partnerID: PartnerID(stored: "prt_1"),
            externalID: nil,
            name: "Main Street 1",
            timezone: "America/Chicago",
            address: nil,
            testMode: false,
            armingModel: .partnerTriggered,
            createdAt: createdAt
        )
    }
}

extension Partition {
    static func sample(number: Int, exit: ExitDelays = ExitDelays(), entry: Int = 30) -> Partition {
        Partition(
            id: PartitionID(stored: "p_\(number)"),
            siteID: Site.sample().id,
            number: number,
            name: "Partition \(number)",
            exitDelaySeconds: exit,
            entryDelaySeconds: entry
        )
    }
}

extension Zone {
    static func sample(number: Int, name: String) -> Zone {
        Zone(id: ZoneID(stored: "zone_\(number)"), number: number, name: name, type: .exitEntry)
    }
}

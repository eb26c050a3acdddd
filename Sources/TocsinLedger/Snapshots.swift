import TocsinCore

package struct SnapshotFilter: Sendable {
    package var dealerID: DealerID?
    package var siteID: SiteID?
    package var deviceID: DeviceID?
    /// Of the dealer that is named beside it.
    package var alarm: AlarmNumber?

    package init(
        dealerID: DealerID? = nil,
        siteID: SiteID? = nil,
        deviceID: DeviceID? = nil,
        alarm: AlarmNumber? = nil
    ) {
        self.dealerID = dealerID
        self.siteID = siteID
        self.deviceID = deviceID
        self.alarm = alarm
    }
}

package protocol SnapshotReader {
    /// Newest first, by id.
    func snapshots(within reach: Reach, filter: SnapshotFilter, page: PageRequest) throws -> Page<Snapshot>
    func snapshot(_ id: SnapshotID, within reach: Reach) throws -> Snapshot?
    /// Whether a snapshot has this content: its file must stay.
    func isInUse(_ content: StoredContent) throws -> Bool
    /// Every content that snapshots have, each once with its size, in pages by dealer and hash: what files must be there.
    func contents(after: StoredContent?, limit: Int) throws -> [(content: StoredContent, size: Int)]
}

package protocol SnapshotWriter {
    /// Forgets snapshots made before `instant`, oldest first, at most `limit`.
    ///
    /// - Returns: How many, and the contents that no snapshot has any more.
    func purgeSnapshots(madeBefore instant: Instant, limit: Int) throws -> (count: Int, unused: [StoredContent])
}

/// An image or video of a device, kept in a file of its dealer's (decisions §7).
package struct Snapshot: Hashable, Sendable {
    package var id: SnapshotID
    package var dealerID: DealerID
    package var siteID: SiteID
    package var deviceID: DeviceID
    /// The alarm that it belongs to, if any.
    package var alarm: AlarmNumber?
    package var mediaType: MediaType
    /// Bytes of the file.
    package var size: Int
    /// By which the file is found; equal content of one dealer is one file.
    package var content: ContentHash
    /// When the device says that it was taken.
    package var takenAt: Instant?
    package var createdAt: Instant

    package init(
        id: SnapshotID,
        dealerID: DealerID,
        siteID: SiteID,
        deviceID: DeviceID,
        alarm: AlarmNumber? = nil,
        mediaType: MediaType,
        size: Int,
        content: ContentHash,
        takenAt: Instant? = nil,
        createdAt: Instant
    ) {
        self.id = id
        self.dealerID = dealerID
        self.siteID = siteID
        self.deviceID = deviceID
        self.alarm = alarm
        self.mediaType = mediaType
        self.size = size
        self.content = content
        self.takenAt = takenAt
        self.createdAt = createdAt
    }

    /// Larger uploads are refused (decisions §1).
    package static let sizeMaximum = 10 << 20
    /// How long whoever holds a snapshot's address may fetch it (decisions §7).
    package static let linkLifetime: Duration = .seconds(86_400)
    /// How long an upload stays the one to show with an alarm that is raised for its device.
    package static let recency: Duration = .seconds(30)
    /// How long after an alarm was raised an upload of its device belongs to it unasked.
    package static let alarmReach: Duration = .seconds(600)
    /// How long after its end an alarm may still be named by an upload.
    package static let alarmAfterlife: Duration = .seconds(3600)

    /// When its address dies; in whole seconds, as it stands in the address.
    package var linkExpiresAt: Instant { Instant(secondsSinceEpoch: (createdAt + Self.linkLifetime).secondsSinceEpoch) }
}

/// The SHA-256 of a file's bytes, in 64 lower-case hexadecimal digits.
package struct ContentHash: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// Takes what is such a hash, and nothing else: file names are made of it.
    package init?(_ text: String) {
        guard text.utf8.count == Self.length,
            text.utf8.allSatisfy({
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            })
        else { return nil }
        self.text = text
    }

    private static let length = 64

    package var description: String { text }
}

/// A content of one dealer, of which there is one file.
package struct StoredContent: Hashable, Sendable {
    package var dealerID: DealerID
    package var hash: ContentHash

    package init(dealerID: DealerID, hash: ContentHash) {
        self.dealerID = dealerID
        self.hash = hash
    }
}

/// A snapshot that a decision stores; the commit finds the alarm's number.
package struct SnapshotDraft: Hashable, Sendable {
    package var snapshot: Snapshot
    package var alarm: AlarmReference?
    /// The address that events tell.
    package var url: String

    package init(snapshot: Snapshot, alarm: AlarmReference?, url: String) {
        self.snapshot = snapshot
        self.alarm = alarm
        self.url = url
    }
}

/// A stored snapshot that a decision gives to an alarm; one that has an alarm keeps it.
package struct SnapshotLink: Hashable, Sendable {
    package var snapshotID: SnapshotID
    package var alarm: AlarmReference

    package init(snapshotID: SnapshotID, alarm: AlarmReference) {
        self.snapshotID = snapshotID
        self.alarm = alarm
    }
}

import TocsinCore

/// Events that one decision adds to a log, as one row keeps them: what is written together is read together.
///
/// One row and one index entry cost a ledger's writer a third of what a row with three indexes for each event did, and all
/// but their sequence, which only the commit knows, is encoded before the writer gets them.
package struct PackedEvents: Equatable, Sendable {
    /// More are split over rows, so that one event is not looked for in too many.
    package static let eventsMaximum = 16
    /// The same for large ones.
    package static let bytesMaximum = 64 << 10

    /// The milliseconds that the events' ids begin with: by them an id is found.
    package let idTime: Int64
    package private(set) var createdAt: Instant
    package private(set) var count = 0
    package var bytes: [UInt8] { writer.bytes }
    private var writer: PackedWriter

    private init(_ head: EventHead, createdAt: Instant, capacity: Int) {
        idTime = head.id.time
        self.createdAt = createdAt
        writer = PackedWriter(capacity: capacity)
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.idTime == b.idTime && a.createdAt == b.createdAt && a.count == b.count && a.bytes == b.bytes
    }

    /// Packs events of one moment into as few rows as may be, in their order.
    package static func pack(_ events: [(head: EventHead, body: EncodedBody)], at createdAt: Instant) -> [PackedEvents]
    {
        guard let first = events.first else { return [] }
        let capacity = events.reduce(0) { $0 + $1.body.unfinished.count + 160 }
        var rows = [PackedEvents(first.head, createdAt: createdAt, capacity: min(capacity, bytesMaximum))]
        for (head, body) in events {
            let last = rows[rows.count - 1]
            let isFull = last.count >= eventsMaximum || last.count > 0 && last.bytes.count >= bytesMaximum
            if isFull || last.idTime != head.id.time {
                rows.append(PackedEvents(head, createdAt: createdAt, capacity: body.unfinished.count + 160))
            }
            rows[rows.count - 1].append(head, body)
        }
        return rows
    }

    private mutating func append(_ head: EventHead, _ body: EncodedBody) {
        var flags = PackedEvent.Flags()
        if head.siteID != nil { flags.insert(.site) }
        if head.partnerID != nil { flags.insert(.partner) }
        if head.audience != .everyone { flags.insert(.audience) }
        if body.endsWithSequence { flags.insert(.sequence) }
        writer.append(flags.rawValue)
        writer.append(head.type.rawValue)
        writer.append(head.id.text)
        if let site = head.siteID { writer.append(site.text) }
        if let partner = head.partnerID { writer.append(partner.text) }
        if head.audience != .everyone { writer.append(head.audience.stored) }
        writer.append(body.unfinished)
        count += 1
    }

    /// The same row at another moment; nil if one of its bodies does not tell its own as expected.
    func moved(to createdAt: WrittenInstant) -> PackedEvents? {
        var moved = self
        moved.createdAt = createdAt.instant
        var reader = PackedReader(bytes)
        do {
            while !reader.isAtEnd {
                let (body, endsWithSequence) = try PackedEvent.skip(&reader)
                if endsWithSequence { continue }
                guard moved.writer.patch({ EncodedBody.move(&$0, bodyAt: body.lowerBound, to: createdAt) }) else {
                    return nil
                }
            }
        } catch {
            return nil
        }
        return moved
    }

    /// Reads a row's events from the one with sequence `first` on, until `body` returns false.
    ///
    /// - Returns: False if `body` did.
    /// - Throws: ``PackingError`` for bytes that are no row of ours, and what `body` throws.
    @discardableResult
    package static func read(
        _ bytes: [UInt8],
        of dealer: DealerID,
        from first: Int64,
        createdAt: Instant,
        _ body: (PackedEvent) throws -> Bool
    ) throws -> Bool {
        var reader = PackedReader(bytes)
        var sequence = first
        while !reader.isAtEnd {
            let event = try PackedEvent(&reader, bytes, dealer, sequence, createdAt)
            guard try body(event) else { return false }
            sequence += 1
        }
        return true
    }
}

/// One event of a row, before its bytes are copied out of it.
package struct PackedEvent {
    struct Flags: OptionSet {
        var rawValue: UInt8 = 0
        static let site = Flags(rawValue: 1)
        static let partner = Flags(rawValue: 2)
        static let audience = Flags(rawValue: 4)
        /// The body ends with its sequence, which is not kept with it.
        static let sequence = Flags(rawValue: 8)
        static let all: Flags = [.site, .partner, .audience, .sequence]
    }

    package let head: EventHead
    package let sequence: Int64
    private let createdAt: Instant
    private let row: [UInt8]
    private let range: Range<Int>
    private let endsWithSequence: Bool

    fileprivate init(
        _ reader: inout PackedReader,
        _ row: [UInt8],
        _ dealer: DealerID,
        _ sequence: Int64,
        _ createdAt: Instant
    ) throws(PackingError) {
        let flags = Flags(rawValue: try reader.byte())
        let word = try reader.text()
        guard flags.isSubset(of: .all), let type = EventType(rawValue: word) else {
            throw PackingError(description: "the ledger holds an event of the unknown kind \"\(word)\"")
        }
        head = EventHead(
            dealerID: dealer,
            id: EventID(stored: try reader.text()),
            type: type,
            siteID: flags.contains(.site) ? SiteID(stored: try reader.text()) : nil,
            partnerID: flags.contains(.partner) ? PartnerID(stored: try reader.text()) : nil,
            audience: flags.contains(.audience) ? EventAudience(stored: try reader.text()) : .everyone
        )
        self.createdAt = createdAt
        self.sequence = sequence
        self.row = row
        range = try reader.range()
        endsWithSequence = flags.contains(.sequence)
    }

    /// Passes over an event and tells where its body stands and whether that ends with its sequence.
    static func skip(_ reader: inout PackedReader) throws(PackingError) -> (body: Range<Int>, endsWithSequence: Bool) {
        let flags = Flags(rawValue: try reader.byte())
        // Its kind and its id always stand there.
        for _ in 0..<2 + flags.intersection([.site, .partner, .audience]).rawValue.nonzeroBitCount {
            _ = try reader.range()
        }
        return (try reader.range(), flags.contains(.sequence))
    }

    /// The event with its whole body.
    package var logged: LoggedEvent {
        let body = EncodedBody(unfinished: Array(row[range]), endsWithSequence: endsWithSequence)
        return LoggedEvent(head, sequence: sequence, createdAt: createdAt, body: body.bytes(sequence: sequence))
    }
}

/// An event's bytes as far as they are known before the commit, which adds at most its sequence at their end.
package struct EncodedBody: Equatable, Sendable {
    /// The whole body, or all of it before its sequence.
    package let unfinished: [UInt8]
    /// The body ends with the event's sequence, which is missing yet.
    package let endsWithSequence: Bool

    /// What a body ends with whose sequence is 0: no text of anybody's can stand there.
    private static let sequenceEnd = Array("\"sequence\":0}".utf8)
    /// What most commits consist of, and what refers to nothing that only the commit knows.
    private static let independentTypes: Set<EventType> = [.partitionArmed, .partitionDisarmed]

    /// Encodes a body that needs nothing else of its commit; none for any other.
    package init?(_ body: EventBody, id: EventID, createdAt: Instant) {
        let type = body.type
        guard type == .armingStateChanged || Self.independentTypes.contains(type) else { return nil }
        var bytes = body.encoded(at: EventPlace(id: id, sequence: 0, createdAt: createdAt))
        endsWithSequence = type == .armingStateChanged
        if endsWithSequence {
            guard bytes.suffix(Self.sequenceEnd.count).elementsEqual(Self.sequenceEnd) else { return nil }
            bytes.removeLast(2)
        }
        unfinished = bytes
    }

    /// Takes what was encoded before.
    package init(unfinished: [UInt8], endsWithSequence: Bool) {
        self.unfinished = unfinished
        self.endsWithSequence = endsWithSequence
    }

    /// The whole body, the same as ``EventBody/encoded(at:)`` would make.
    package func bytes(sequence: Int64) -> [UInt8] {
        guard endsWithSequence else { return unfinished }
        var whole: [UInt8] = []
        whole.reserveCapacity(unfinished.count + 20)
        whole.append(contentsOf: unfinished)
        whole.append(contentsOf: String(sequence).utf8)
        whole.append(UInt8(ascii: "}"))
        return whole
    }
}

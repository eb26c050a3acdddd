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

    /// What stands before the moment of the commit; within a text it would have other quotes.
    private static let createdAt = Array("\"created_at\":\"".utf8)

    /// The same body at another moment, under another id; nil if it does not tell them as expected.
    package func moved(from old: EventID, to new: EventID, createdAt: Instant) -> EncodedBody? {
        var bytes = unfinished
        guard bytes.replace(old, by: new) else { return nil }
        // What ends with its sequence tells no moment.
        if endsWithSequence { return EncodedBody(unfinished: bytes, endsWithSequence: true) }
        guard let end = bytes.firstIndex(of: Self.createdAt, from: 0).map({ $0 + Self.createdAt.count })
        else { return nil }
        let text = createdAt.rfc3339Seconds.utf8
        guard end + text.count < bytes.count, bytes[end + text.count] == UInt8(ascii: "\"") else { return nil }
        bytes.replaceSubrange(end..<end + text.count, with: text)
        return EncodedBody(unfinished: bytes, endsWithSequence: false)
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

extension [UInt8] {
    /// Puts a new id where an old one stands, wherever that is; false if it is nowhere, or longer or shorter.
    package mutating func replace(_ old: EventID, by new: EventID) -> Bool {
        let (old, new) = (Array(old.text.utf8), Array(new.text.utf8))
        guard old.count == new.count, var index = firstIndex(of: old, from: 0) else { return false }
        while true {
            replaceSubrange(index..<index + new.count, with: new)
            guard let next = firstIndex(of: old, from: index + new.count) else { return true }
            index = next
        }
    }

    fileprivate func firstIndex(of sought: [UInt8], from start: Int) -> Int? {
        guard let first = sought.first, count >= sought.count else { return nil }
        return withUnsafeBufferPointer { bytes in
            sought.withUnsafeBufferPointer { sought in
                var index = start
                while index <= bytes.count - sought.count {
                    if bytes[index] == first, bytes[index...].starts(with: sought) { return index }
                    index += 1
                }
                return nil
            }
        }
    }
}

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

    /// The same body at another moment; nil if it does not tell it as expected.
    package func moved(to createdAt: WrittenInstant) -> EncodedBody? {
        // What ends with its sequence tells no moment.
        if endsWithSequence { return self }
        var bytes = unfinished
        guard Self.move(&bytes, bodyAt: 0, to: createdAt) else { return nil }
        return EncodedBody(unfinished: bytes, endsWithSequence: false)
    }

    /// Puts another moment into a body that tells one and begins at `start`; false if it does not tell it as expected.
    package static func move(_ bytes: inout [UInt8], bodyAt start: Int, to createdAt: WrittenInstant) -> Bool {
        guard let name = bytes.firstIndex(of: Self.createdAt, from: start) else { return false }
        let (begin, text) = (name + Self.createdAt.count, createdAt.seconds)
        guard begin + text.count < bytes.count, bytes[begin + text.count] == UInt8(ascii: "\"") else { return false }
        let place = begin..<begin + text.count
        // Many are moved within a second; what is the same is not copied.
        if !bytes[place].elementsEqual(text) { bytes.replaceSubrange(place, with: text) }
        return true
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

/// An instant with its text, which is made once for all bodies that tell it.
package struct WrittenInstant: Sendable {
    package let instant: Instant
    fileprivate let seconds: [UInt8]

    package init(_ instant: Instant) {
        self.instant = instant
        seconds = Array(instant.rfc3339Seconds.utf8)
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
        guard sought.count > 1, count >= sought.count else { return nil }
        let (first, second) = (sought[0], sought[1])
        return withUnsafeBufferPointer { bytes in
            sought.withUnsafeBufferPointer { sought in
                var index = start
                while index <= bytes.count - sought.count {
                    if bytes[index] == first, bytes[index + 1] == second, bytes[index...].starts(with: sought) {
                        return index
                    }
                    index += 1
                }
                return nil
            }
        }
    }
}

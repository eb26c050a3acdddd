import TocsinJSON
import TocsinServer

/// One event of a `text/event-stream`.
struct ServerSentEvent: Hashable, Sendable {
    /// The last id that the stream named: where to go on after a break.
    var id: String
    var type: String
    var data: String

    /// What to say where this is no event of the log, but tells of some that are gone; it has no place of its own.
    var missedWarning: String? {
        guard type == EventStream.missedType else { return nil }
        let told = try? JSONParser.parse(data)
        let (missed, first) = (told?["missed"]?.integer, told?["first_sequence"]?.integer)
        return
            "WARNING: \(missed.map(String.init) ?? "some") entries of the log are missed: the server has forgotten what lies before "
            + "#\(first.map(String.init) ?? "?")"
    }
}

/// Reads a `text/event-stream` from pieces as they arrive.
struct EventStreamParser {
    /// Larger than any event's body; a stream that never ends its line is not ours.
    static let lineBytesMaximum = 1 << 20

    private var line: [UInt8] = []
    private var endsWithReturn = false
    private var id = ""
    private var type = ""
    private var data: [String] = []

    /// Takes the next piece and returns the events that it completes; nothing if the stream is not one of ours.
    mutating func feed(_ piece: some Sequence<UInt8>) -> [ServerSentEvent]? {
        var events: [ServerSentEvent] = []
        for byte in piece {
            let wasReturn = endsWithReturn
            endsWithReturn = byte == UInt8(ascii: "\r")
            switch byte {
            case UInt8(ascii: "\n") where wasReturn: continue
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if let event = take(String(decoding: line, as: UTF8.self)) { events.append(event) }
                line.removeAll(keepingCapacity: true)
            default:
                line.append(byte)
                if line.count > Self.lineBytesMaximum { return nil }
            }
        }
        return events
    }

    private mutating func take(_ line: String) -> ServerSentEvent? {
        if line.isEmpty {
            defer {
                type = ""
                data = []
            }
            return data.isEmpty ? nil : ServerSentEvent(id: id, type: type, data: data.joined(separator: "\n"))
        }
        let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count > 1 ? String(parts[1].first == " " ? parts[1].dropFirst() : parts[1]) : ""
        switch parts[0] {
        case "id": id = value
        case "event": type = value
        case "data": data.append(value)
        default: break  // comments keep the connection alive; other fields are not ours
        }
        return nil
    }
}

import Foundation
import Logging
import TocsinCore
import TocsinEngine

/// Writes one line an event to standard error: time, level, message, then `key=value` pairs in order of their keys.
struct LineLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    var logLevel: Logger.Level
    private let label: String
    private let clock: any WallClock

    init(label: String, level: Logger.Level, clock: any WallClock) {
        self.label = label
        logLevel = level
        self.clock = clock
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        all.merge(metadataProvider?.get() ?? [:]) { _, new in new }
        all.merge(event.metadata ?? [:]) { _, new in new }
        var line = "\(clock.now.rfc3339Milliseconds) \(event.level.rawValue) \(Self.escaped("\(event.message)"))"
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(Self.quoted("\(value)"))" }
        if let error = event.error { line += " error=\(Self.quoted("\(error)"))" }
        // One write for a line, so that lines of different threads do not mix.
        Console.note(line)
    }

    /// A value that holds a stranger's text must not be able to look like a second line or a second key.
    private static func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        return isPlain ? text : "\"" + escaped(text).replacing("\"", with: "\\\"") + "\""
    }

    private static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        return text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? $0.escaped(asASCII: true) : String($0) }
            .joined()
    }
}

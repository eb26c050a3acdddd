import Foundation
import NIOCore
import TocsinCore

/// Measures how often a second the disk below a directory makes a small write durable.
package enum FsyncProbe {
    /// The size of one write: a page of the ledger's.
    private static let bytes = [UInt8](repeating: 0x5A, count: 4096)

    /// Calls `fdatasync` after each write of one page for about `duration`, and returns the calls a second.
    package static func callsPerSecond(in directory: String, for duration: Duration = .seconds(1)) throws -> Double {
        let path = directory + "/fsync-probe"
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw LabError("the directory \(directory) cannot be written") }
        defer {
            try? file.close()
            try? FileManager.default.removeItem(atPath: path)
        }
        let start = NIODeadline.now()
        let end = start + .nanoseconds(duration.milliseconds * 1_000_000)
        var calls = 0
        while NIODeadline.now() < end {
            try file.write(contentsOf: bytes)
            guard fdatasync(file.fileDescriptor) == 0 else { throw LabError("fdatasync failed in \(directory)") }
            calls += 1
        }
        return Double(calls) / Stopwatch.seconds(from: start, to: .now())
    }
}

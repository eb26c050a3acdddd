import Foundation
import TocsinJSON

/// What the figures were measured on.
package struct Machine: Sendable {
    package var cores: Int
    package var model: String
    package var memoryBytes: UInt64
    package var kernel: String
    /// Raw `fdatasync` calls a second on the disk that held the ledger; durable figures mean little without it.
    package var fsyncsPerSecond: Double?

    /// Reads what the operating system says about itself.
    package init() {
        cores = ProcessInfo.processInfo.activeProcessorCount
        memoryBytes = ProcessInfo.processInfo.physicalMemory
        kernel = Self.line(of: "/proc/sys/kernel/osrelease") ?? ProcessInfo.processInfo.operatingSystemVersionString
        let cpu = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let name = cpu.split(separator: "\n").first { $0.hasPrefix("model name") }
        model = name?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
    }

    private static func line(of path: String) -> String? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    package var json: JSON {
        var object: JSONObject = [
            "cores": JSON(cores), "model": .string(model), "memory_bytes": .integer(Int64(memoryBytes)),
            "kernel": .string(kernel),
        ]
        object["fdatasync_per_second"] = fsyncsPerSecond.map { .integer(Int64($0)) }
        return .object(object)
    }

    /// One line for the head of a table.
    package var summary: String {
        let gibibytes = Figures.decimal(Double(memoryBytes) / 1_073_741_824, places: 1)
        let fsyncs = fsyncsPerSecond.map { ", \(Figures.grouped(Int($0))) raw fdatasync/s" } ?? ""
        return "\(cores) cores (\(model)), \(gibibytes) GiB, Linux \(kernel)\(fsyncs)"
    }
}

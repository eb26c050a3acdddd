import Foundation

/// What a process has used so far, as the kernel counts it.
package struct ProcessUsage: Sendable {
    /// User and system time of all its threads, in seconds.
    package var cpuSeconds: Double
    /// Memory that is resident now, in bytes.
    package var residentBytes: UInt64

    /// Of it, what is the process's own: without files that are mapped, which the system takes back when it needs room.
    package var ownBytes: UInt64

    /// Reads the usage of a running process; fails if there is none with this id.
    package init(processID: Int32) throws {
        guard let stat = try? String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8),
            let name = stat.lastIndex(of: ")")
        else { throw LabError("the process \(processID) is gone") }
        // The name may hold blanks; behind it stand the state (field 3) and numbers, utime and stime as 14 and 15.
        let fields = stat[stat.index(after: name)...].split(separator: " ")
        guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
            let pages = UInt64(fields[21])
        else { throw LabError("the usage of process \(processID) cannot be read") }
        cpuSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        residentBytes = pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
        let status = (try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        let kibibytes = line.flatMap { $0.split(whereSeparator: \.isWhitespace).dropFirst().first }.flatMap {
            UInt64($0)
        }
        ownBytes = kibibytes.map { $0 * 1024 } ?? residentBytes
    }

    /// The usage of this process itself.
    package static var ofThis: ProcessUsage { get throws { try ProcessUsage(processID: getpid()) } }

    /// CPU time of one of `count` things that were done since an earlier reading, in microseconds.
    package func cost(since earlier: ProcessUsage, per count: Int) -> Double {
        (cpuSeconds - earlier.cpuSeconds) * 1e6 / Double(max(1, count))
    }
}

import Foundation

/// A path in the system's directory for such; the process's number keeps runs beside each other apart.
func temporaryPath(_ number: UInt64) -> String {
    let process = ProcessInfo.processInfo
    let name = "tocsin-\(process.processIdentifier)-\(process.systemUptime)-\(number)"
    return FileManager.default.temporaryDirectory.appending(path: name).path()
}

func removeFile(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

import Foundation
import Testing

/// A small disk of its own for one server, in a mount namespace that ends with it.
enum SmallDisk {
    static let comment: Comment = "needs the right to mount a tmpfs (root, or user namespaces)"

    /// `unshare`'s flags: root needs no user namespace.
    private static let flags = getuid() == 0 ? ["-m"] : ["-rm"]

    static let isPermitted: Bool = {
        let probe = Process()
        probe.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        probe.arguments = flags + ["mount", "-t", "tmpfs", "none", "/mnt"]
        probe.standardError = FileHandle.nullDevice
        do { try probe.run() } catch { return false }
        probe.waitUntilExit()
        return probe.terminationStatus == 0
    }()

    /// Serves a copy of the installation's data directory from a disk of that size that is mounted over it.
    static func serve(_ installation: Installation, size: String = "6m") async throws -> Server {
        let script = """
            set -e
            cp -a "$0" "$0.copy" && mount -t tmpfs -o size=\(size) none "$0" && cp -a "$0.copy/." "$0"
            exec "$@"
            """
        let arguments = flags + ["bash", "-c", script, installation.data.path, Program.executable.path]
        return try await Server.start(
            Command(URL(fileURLWithPath: "/usr/bin/unshare"), arguments + Server.arguments(data: installation.data))
        )
    }

    /// Where a file of the server's own mounts can be reached from here.
    static func inside(_ server: Server, _ file: URL) -> URL {
        URL(fileURLWithPath: "/proc/\(server.command.pid)/root" + file.path)
    }

    /// Appends until not one byte more fits.
    static func fill(_ file: URL) {
        guard let stream = fopen(file.path, "a") else { return }
        defer { fclose(stream) }
        setvbuf(stream, nil, _IONBF, 0)
        for size in [65536, 4096, 1] {
            let block = [UInt8](repeating: 0x58, count: size)
            while fwrite(block, 1, size, stream) == size {}
        }
    }

    /// Runs the program where the server's mounts are.
    static func run(beside server: Server, _ arguments: [String]) async throws -> Outcome {
        let enter = getuid() == 0 ? ["-m"] : ["-U", "-m", "--preserve-credentials"]
        return try await Command(
            URL(fileURLWithPath: "/usr/bin/nsenter"),
            ["-t", "\(server.command.pid)"] + enter + [Program.executable.path] + arguments
        ).outcome()
    }
}

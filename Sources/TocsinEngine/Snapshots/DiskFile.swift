import Dispatch
import TocsinCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// An open file, closed when nobody refers to it any more.
package final class DiskFile: Sendable {
    private let descriptor: Int32

    fileprivate init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { _ = close(descriptor) }

    /// Makes a file that did not exist.
    static func create(_ path: String) throws(SnapshotRefusal) -> DiskFile {
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor < 0 { throw Disk.failure("\(path) cannot be made") }
        return DiskFile(descriptor)
    }

    /// Opens a file to be read; none if there is none.
    static func open(reading path: String) -> DiskFile? {
        let descriptor = Self.openReading(path)
        return descriptor < 0 ? nil : DiskFile(descriptor)
    }

    private static func openReading(_ path: String) -> Int32 {
        #if canImport(Glibc)
            Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        #else
            Darwin.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        #endif
    }

    private static func open(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 {
        #if canImport(Glibc)
            Glibc.open(path, flags, mode)
        #else
            Darwin.open(path, flags, mode)
        #endif
    }

    /// Appends all of the bytes.
    func append(_ bytes: [UInt8]) throws(SnapshotRefusal) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { throw Disk.failure("a snapshot cannot be written") }
            written += count
        }
    }

    /// Up to so many bytes from there; none at the end.
    package func read(from offset: Int, count: Int) throws(SnapshotRefusal) -> [UInt8] {
        while true {
            var result = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                result = pread(descriptor, buffer.baseAddress, count, off_t(offset))
                initialized = max(0, result)
            }
            if result >= 0 { return bytes }
            if errno != EINTR { throw Disk.failure("a snapshot cannot be read") }
        }
    }

    /// Its length in bytes.
    package var size: Int? {
        var information = stat()
        return fstat(descriptor, &information) == 0 ? Int(information.st_size) : nil
    }

    /// Says when it was changed, by our clock, and brings it to the disk.
    func seal(at instant: Instant) throws(SnapshotRefusal) {
        let milliseconds = instant.millisecondsSinceEpoch
        let time = timespec(tv_sec: Int(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
        let times = [time, time]
        guard futimens(descriptor, times) == 0, fsync(descriptor) == 0 else {
            throw Disk.failure("a snapshot cannot be made durable")
        }
    }
}

/// What snapshots need of the file system beyond files.
enum Disk {
    /// Makes a directory for nobody else to see, durably; one that exists is left as it is.
    static func makeDirectory(_ path: String, in parent: String) throws(SnapshotRefusal) {
        if mkdir(path, 0o700) == 0 { return try synchronize(parent) }
        if errno != EEXIST { throw failure("the directory \(path) cannot be made") }
    }

    /// Brings the names in a directory to the disk.
    static func synchronize(_ directory: String) throws(SnapshotRefusal) {
        guard let file = DiskFile.open(reading: directory) else { throw failure("\(directory) cannot be opened") }
        try file.synchronize()
    }

    static func move(_ path: String, to destination: String) throws(SnapshotRefusal) {
        if rename(path, destination) != 0 { throw failure("a snapshot cannot be put in its place") }
    }

    static func remove(_ path: String) { _ = unlink(path) }

    /// When a file was last changed; none if there is none.
    static func changedAt(_ path: String) -> Instant? {
        var information = stat()
        guard lstat(path, &information) == 0 else { return nil }
        let time = information.st_mtim
        return Instant(millisecondsSinceEpoch: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Bytes that may still be written below a path; none if that cannot be told.
    static func freeSpace(_ path: String) -> Int? {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { return nil }
        return Int(information.f_bavail) * Int(information.f_frsize)
    }

    /// The names in a directory, without those that begin with a dot.
    static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
                    String(cString: $0)
                }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    static func removeDirectory(_ path: String) { _ = rmdir(path) }

    /// The present `errno` as a refusal.
    static func failure(_ what: String) -> SnapshotRefusal {
        let code = errno
        if code == ENOSPC || code == EDQUOT { return .noSpace }
        return .unavailable("\(what): \(String(cString: strerror(code)))")
    }
}

extension DiskFile {
    fileprivate func synchronize() throws(SnapshotRefusal) {
        if fsync(descriptor) != 0 { throw Disk.failure("a directory cannot be made durable") }
    }
}

/// Threads that may wait for the disk, so that those which serve requests need not.
struct DiskQueue: Sendable {
    private let queue = DispatchQueue(label: "tocsin.snapshots", attributes: .concurrent)

    func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(SnapshotRefusal) -> Value
    ) async throws(SnapshotRefusal) -> Value {
        let result: Result<Value, SnapshotRefusal> = await withCheckedContinuation { continuation in
            queue.async {
                do throws(SnapshotRefusal) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}

import Glibc
import Logging

/// How many files and sockets the process may hold open.
enum FileLimit {
    /// Below it, many slow endpoints could use up every socket: 200 of them hold 3,200 at 16 attempts each.
    static let comfortable: UInt64 = 8_192

    /// Raises the soft limit to the hard one, which needs no rights; says so where even that is little.
    static func raise(_ logger: Logger) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        if limit.rlim_cur < comfortable {
            logger.warning(
                "few files may be open at once; raise the limit (ulimit -n) for many or slow endpoints",
                metadata: ["limit": "\(limit.rlim_cur)"]
            )
        }
    }
}

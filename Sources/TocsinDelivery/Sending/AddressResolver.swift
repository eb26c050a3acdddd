import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Turns host names into addresses; the sender asks at every attempt and checks every address of the answer.
package protocol AddressResolver: Sendable {
    /// An answer that is at hand without waiting, or nil.
    func cached(_ host: String) -> [IPAddress]?

    /// Throws when the name does not resolve; the sender's deadline ends the wait, not the look-up.
    func resolve(_ host: String) async throws -> [IPAddress]
}

extension AddressResolver {
    package func cached(_ host: String) -> [IPAddress]? { nil }
}

/// Why a name did not resolve.
package struct ResolverError: Error, Hashable, Sendable {
    package let sentence: String
}

/// Resolves with the system's `getaddrinfo`, or another look-up, on threads of its own; remembers answers for seconds.
///
/// Look-ups of one name are merged, so that a name whose servers do not answer holds one thread and not all of them.
package final class SystemResolver: AddressResolver {
    package typealias Lookup = @Sendable (String) -> Result<[IPAddress], ResolverError>
    private typealias Waiter = CheckedContinuation<[IPAddress], any Error>

    /// Short, because a changed record has to count soon; long enough that a busy endpoint costs no look-ups.
    package static let timeToLive: TimeAmount = .seconds(5)
    /// Bounds the cache's memory; beyond it, answers are not remembered until old ones have gone.
    package static let entriesMax = 10_000
    /// Look-ups that wait for a thread; beyond it, a name fails at once.
    package static let pendingMax = 4_096
    /// A stuck look-up holds its thread for up to half a minute, so there are a few more than one would need.
    package static let threads = 16

    private struct Entry {
        let answer: Result<[IPAddress], ResolverError>
        let expires: NIODeadline
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var waiters: [String: [Waiter]] = [:]
    }

    private let pool: NIOThreadPool
    private let lookup: Lookup
    private let timeToLive: TimeAmount
    private let entriesMax: Int
    private let now: @Sendable () -> NIODeadline
    private let state = NIOLockedValueBox(State())

    package init(
        timeToLive: TimeAmount = SystemResolver.timeToLive,
        entriesMax: Int = SystemResolver.entriesMax,
        now: @escaping @Sendable () -> NIODeadline = { .now() },
        lookup: @escaping Lookup = { SystemResolver.systemLookup($0) }
    ) {
        self.timeToLive = timeToLive
        self.entriesMax = entriesMax
        self.now = now
        self.lookup = lookup
        self.pool = NIOThreadPool(numberOfThreads: Self.threads)
        pool.start()
    }

    /// Ends the threads; look-ups that still wait for one fail.
    package func shutdown() async {
        try? await pool.shutdownGracefully()
    }

    package func cached(_ host: String) -> [IPAddress]? {
        let now = now()
        return state.withLockedValue { state in
            guard let entry = state.entries[host], entry.expires > now else { return nil }
            return try? entry.answer.get()
        }
    }

    package func resolve(_ host: String) async throws -> [IPAddress] {
        try await withCheckedThrowingContinuation { waiter in
            join(host, waiter)
        }
    }

    private enum Next {
        case answer(Result<[IPAddress], ResolverError>)
        case wait
        case look
    }

    private func join(_ host: String, _ waiter: Waiter) {
        let now = now()
        let next: Next = state.withLockedValue { state in
            if let entry = state.entries[host], entry.expires > now { return .answer(entry.answer) }
            if state.waiters[host] != nil {
                state.waiters[host]?.append(waiter)
                return .wait
            }
            guard state.waiters.count < Self.pendingMax else {
                return .answer(.failure(ResolverError(sentence: "Too many names are being resolved.")))
            }
            state.waiters[host] = [waiter]
            return .look
        }
        switch next {
        case .answer(let answer): waiter.resume(with: answer)
        case .wait: break
        case .look: look(host)
        }
    }

    private func look(_ host: String) {
        pool.submit { [self] poolState in
            switch poolState {
            case .active: finish(host, lookup(host))
            case .cancelled: finish(host, .failure(ResolverError(sentence: "The resolver was shut down.")))
            }
        }
    }

    private func finish(_ host: String, _ answer: Result<[IPAddress], ResolverError>) {
        let now = now()
        let waiters = state.withLockedValue { state in
            if state.entries.count >= entriesMax {
                state.entries = state.entries.filter { $0.value.expires > now }
            }
            if state.entries.count < entriesMax {
                state.entries[host] = Entry(answer: answer, expires: now + timeToLive)
            }
            return state.waiters.removeValue(forKey: host) ?? []
        }
        for waiter in waiters { waiter.resume(with: answer) }
    }

    /// Asks the system, and blocks until it answers.
    package static func systemLookup(_ host: String) -> Result<[IPAddress], ResolverError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        hints.ai_flags = AI_ADDRCONFIG
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &first)
        guard code == 0 else {
            return .failure(
                ResolverError(sentence: "The host name does not resolve: \(String(cString: gai_strerror(code))).")
            )
        }
        defer { freeaddrinfo(first) }
        var addresses: [IPAddress] = []
        var next = first
        while let info = next {
            if let address = address(of: info.pointee) { addresses.append(address) }
            next = info.pointee.ai_next
        }
        return .success(addresses)
    }

    private static func address(of info: addrinfo) -> IPAddress? {
        guard let raw = UnsafeRawPointer(info.ai_addr) else { return nil }
        switch info.ai_family {
        case AF_INET:
            var v4 = raw.loadUnaligned(as: sockaddr_in.self).sin_addr
            return withUnsafeBytes(of: &v4) { IPAddress(packed: $0) }
        case AF_INET6:
            var v6 = raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr
            return withUnsafeBytes(of: &v6) { IPAddress(packed: $0) }
        default:
            return nil
        }
    }
}

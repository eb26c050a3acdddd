import Logging
import NIOCore
import NIOPosix
import NIOSSL

/// Sends webhooks: a pooled HTTP/1.1 client that follows no redirect, uses no proxy, reads no more than it must, and
/// connects to checked addresses only.
///
/// Attempts to one endpoint share an event loop, where its connections live; nothing is locked on the way.
package final class WebhookSender: Sendable {
    package struct Limits: Sendable {
        /// From the start of an attempt, name resolution included, to the last byte of the response.
        package var total: Duration = .seconds(30)
        /// Leaves time for a second address when the first does not answer at all.
        package var connectPerAddress: Duration = .seconds(10)
        /// How long a connection is kept for the next request; most servers keep theirs for 60 s or more.
        package var idle: Duration = .seconds(30)
        /// Of one host and port on one event loop: whoever takes webhooks for many dealers has one host for all their
        /// endpoints, and each connection that a burst does not find kept costs as much as several requests.
        package var idlePerHost = 512
        /// Over all hosts: each costs a descriptor and, with TLS, some tens of KiB.
        package var idleTotal = 2048
        /// Of the addresses a name has; all of them are checked.
        package var addressesTried = 4

        package init() {}
    }

    private let tls: TLSSettingsStore
    private let shards: [(eventLoop: any EventLoop, shard: NIOLoopBoundBox<Shard>, queue: ErrandQueue)]

    /// Reads the trust store; certificates are always verified.
    ///
    /// - Parameters:
    ///   - group: Where the sender runs; it must outlive the sender's `shutdown()`.
    ///   - policy: Asked about every address at every attempt.
    ///   - resolver: Asked for every host that is not an address.
    ///   - extraCAFile: A PEM file of authorities to trust beside the system's.
    ///   - limits: Time and size bounds.
    ///   - logger: Gets one warning when private addresses are allowed, and refused addresses at debug level.
    /// - Throws: When the trust store or the extra file cannot be read.
    package init(
        group: any EventLoopGroup,
        policy: EgressPolicy,
        resolver: any AddressResolver,
        extraCAFile: String? = nil,
        limits: Limits = Limits(),
        logger: Logger
    ) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = .fullVerification
        configuration.applicationProtocols = ["http/1.1"]
        // A receiver that does not answer our goodbye is left after this.
        configuration.shutdownTimeout = .seconds(1)
        if let extraCAFile { configuration.additionalTrustRoots = [.file(extraCAFile)] }
        let tls = try TLSSettingsStore(configuration)
        self.tls = tls
        if policy.allowPrivate {
            logger.warning("webhooks may go to private and loopback addresses, and by http: for labs only")
        }
        let eventLoops = Array(group.makeIterator())
        let idleMax = max(1, limits.idleTotal / max(1, eventLoops.count))
        shards = eventLoops.map { eventLoop in
            let queue = ErrandQueue()
            let shard = NIOLoopBoundBox.makeBoxSendingValue(
                Shard(
                    eventLoop: eventLoop,
                    policy: policy,
                    resolver: resolver,
                    tls: tls,
                    limits: limits,
                    idleMax: idleMax,
                    queue: queue,
                    logger: logger
                ),
                eventLoop: eventLoop
            )
            return (eventLoop, shard, queue)
        }
    }

    /// Makes one attempt; it never throws, and ends by the total deadline.
    package func send(_ request: WebhookRequest) async -> WebhookOutcome {
        let started = NIODeadline.now()
        let bytes: ByteBuffer
        let tls: TLSSettings
        do throws(WebhookFailure) {
            bytes = try RequestEncoder.encode(request)
            tls = try self.tls.settings(for: request.identity)
        } catch {
            var outcome = WebhookOutcome()
            outcome.failure = error
            return outcome
        }
        let url = request.url
        let (eventLoop, shard, _) = shards[place(of: url)]
        return await withCheckedContinuation { continuation in
            eventLoop.execute {
                shard.value.start(url: url, bytes: bytes, tls: tls, at: started) { continuation.resume(returning: $0) }
            }
        }
    }

    /// Makes many attempts: one change of threads for each event loop takes all of them there.
    package func begin(_ errands: [Errand], _ listener: any ErrandListener) {
        var parts = [[Errand]](repeating: [], count: shards.count)
        for errand in errands {
            if errand.hasCertificate {
                beginAside(errand, listener)
            } else {
                parts[errand.url.map(place) ?? 0].append(errand)
            }
        }
        for ((eventLoop, shard, queue), part) in zip(shards, parts) where !part.isEmpty {
            if queue.put(part) { eventLoop.execute { shard.value.beginErrands(listener) } }
        }
    }

    /// For an attempt that is prepared off the event loops.
    private func beginAside(_ errand: Errand, _ listener: any ErrandListener) {
        Task {
            let (request, end) = errand.word()
            if !errand.isUrgent { listener.left(1) }
            listener.wake()
            switch request {
            case .success(let request): end(await send(request))
            case .failure(let failure):
                var outcome = WebhookOutcome()
                outcome.failure = failure
                end(outcome)
            }
            listener.wake()
        }
    }

    /// Which event loop attempts to this URL are made on.
    ///
    /// By the whole URL: many dealers' endpoints may be one host's, which should keep every event loop busy.
    private func place(of url: EndpointURL) -> Int {
        var hasher = Hasher()
        hasher.combine(url.host)
        hasher.combine(url.target)
        return Int(hasher.finalize().magnitude % UInt(shards.count))
    }

    /// Ends attempts under way with `stopped`, closes every connection, and returns when they are closed.
    package func shutdown() async {
        for (eventLoop, shard, _) in shards {
            try? await eventLoop.flatSubmit { shard.value.stop() }.get()
        }
    }
}

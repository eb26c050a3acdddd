import NIOCore
import NIOHTTP1
import NIOPosix

/// One request that a receiver got, whole.
struct Arrival: Sendable {
    var path: String
    var headers: HTTPHeaders
    var body: [UInt8]

    func header(_ name: String) -> String? { headers.first(name: name) }
    var text: String { String(decoding: body, as: UTF8.self) }
    var eventID: String { header("webhook-id") ?? "" }
    var type: String { header("X-CHeKT-Event-Type") ?? "" }
}

/// What a receiver replies to one request.
struct Answer: Sendable {
    var status: Int
    var body = ""
    /// Never answers.
    var isSilent = false
    static let accepted = Answer(status: 204)
}

/// A webhook receiver on a port of its own that keeps what arrives and replies as its script says.
final class Receiver: Sendable {
    let arrivals: Watched<[Arrival]>
    private let channel: any Channel

    /// The address of one of its endpoints; every path is served.
    func url(_ path: String = "/hook") -> String {
        "http://127.0.0.1:\(channel.localAddress?.port ?? 0)\(path)"
    }

    private init(arrivals: Watched<[Arrival]>, channel: any Channel) {
        self.arrivals = arrivals
        self.channel = channel
    }

    /// Listens while the body runs; the script is asked with each arrival and the count of those before it.
    static func with<Result>(
        answering script: @escaping @Sendable (Arrival, Int) -> Answer = { _, _ in .accepted },
        _ body: (Receiver) async throws -> Result
    ) async throws -> Result {
        let arrivals = Watched<[Arrival]>([])
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(arrivals: arrivals, script: script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let receiver = Receiver(arrivals: arrivals, channel: channel)
        do {
            let result = try await body(receiver)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    /// Waits for the first arrival of the type for the path.
    func first(
        _ type: String,
        at path: String = "/hook",
        where match: @escaping @Sendable (Arrival) -> Bool = { _ in true }
    )
        async throws -> Arrival
    {
        try await arrivals.wait(for: "\(type) at \(path)") { all in
            all.first { $0.type == type && $0.path == path && match($0) }
        }
    }

    /// Waits until every event has arrived at the path at least once.
    func all(_ ids: Set<String>, at path: String = "/hook", within limit: Duration = .seconds(60)) async throws {
        do {
            _ = try await arrivals.wait(for: "\(ids.count) events at \(path)", within: limit) { all in
                let rest = ids.subtracting(all.lazy.filter { $0.path == path }.map(\.eventID))
                return rest.isEmpty ? true : nil
            }
        } catch is TimedOut {
            let missing = ids.subtracting(arrivals.current.lazy.filter { $0.path == path }.map(\.eventID))
            throw TimedOut(
                what: "\(missing.count) of \(ids.count) events at \(path), e.g. \(missing.sorted().prefix(3))"
            )
        }
    }
}

/// Collects one request at a time (HTTP/1.1 without pipelining) and replies.
private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let arrivals: Watched<[Arrival]>
    private let script: @Sendable (Arrival, Int) -> Answer
    private var arrival: Arrival?

    init(arrivals: Watched<[Arrival]>, script: @escaping @Sendable (Arrival, Int) -> Answer) {
        self.arrivals = arrivals
        self.script = script
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): arrival = Arrival(path: head.uri, headers: head.headers, body: [])
        case .body(let part): arrival?.body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let arrival else { return }
            // The reply is decided before anybody learns of the arrival, so that a test never sees one without it.
            let answer = script(arrival, arrivals.current.count)
            arrivals.update { $0.append(arrival) }
            if answer.isSilent { return }
            let head = HTTPResponseHead(
                version: .http1_1,
                status: HTTPResponseStatus(statusCode: answer.status),
                headers: answer.status == 204 ? [:] : ["content-length": "\(answer.body.utf8.count)"]
            )
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            if !answer.body.isEmpty {
                let body = ByteBuffer(string: answer.body)
                context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}

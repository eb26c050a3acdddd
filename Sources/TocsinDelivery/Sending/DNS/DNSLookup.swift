import NIOCore
import TocsinEngine

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Asks one DNS server for a name's addresses, and blocks until it answers.
///
/// Neither `/etc/hosts` nor a search list nor the system's resolver has a say: what an endpoint's name means is what this
/// server says, and nothing that is known only inside the network can be reached through it.
package struct DNSLookup: Sendable {
    /// Each try waits this long before the next one; the sender's deadline of 30 s is far behind.
    static let patience: [Duration] = [.seconds(1), .seconds(2), .seconds(4)]
    /// For an answer over a connection.
    static let connectionPatience: Duration = .seconds(5)

    private let server: SocketAddress
    private let randomness: any Randomness
    private let patience: [Duration]

    package init(server: IPAddress, port: Int, randomness: any Randomness) throws {
        try self.init(server: server, port: port, randomness: randomness, patience: Self.patience)
    }

    init(server: IPAddress, port: Int, randomness: any Randomness, patience: [Duration]) throws {
        self.server = try server.socketAddress(port: port)
        self.randomness = randomness
        self.patience = patience
    }

    /// IPv4 and IPv6 addresses together, asked for at once.
    package func lookup(_ host: String) -> Result<[IPAddress], ResolverError> {
        var asked: [Question] = []
        for type in DNSMessage.RecordType.allCases {
            let id = randomness.bytes(2).reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
            guard let query = DNSMessage.query(id: id, name: host, type: type) else {
                return .failure(ResolverError(sentence: "The host name is not one that DNS can look up."))
            }
            asked.append(Question(id: id, name: host, type: type, query: query))
        }
        guard askByDatagram(&asked) else {
            return .failure(ResolverError(sentence: "The DNS server cannot be asked."))
        }
        return Self.verdict(asked.map(\.answer))
    }

    private struct Question {
        let id: UInt16
        let name: String
        let type: DNSMessage.RecordType
        let query: [UInt8]
        var answer: DNSMessage.Answer?

        func read(_ bytes: [UInt8]) -> DNSMessage.Answer? {
            DNSMessage.answer(bytes, to: id, name: name, type: type)
        }
    }

    /// Addresses of either family count; without any, what the server said of the name.
    private static func verdict(_ answers: [DNSMessage.Answer?]) -> Result<[IPAddress], ResolverError> {
        var addresses: [IPAddress] = []
        var sentence: String?
        for answer in answers {
            switch answer {
            case .addresses(let found): addresses += found
            case .noSuchName: sentence = "The host name does not exist."
            case .refused(let code): sentence = "The DNS server did not answer for the host name (code \(code))."
            case .truncated, nil: sentence = "The DNS server did not answer in time."
            }
        }
        if addresses.isEmpty, let sentence { return .failure(ResolverError(sentence: sentence)) }
        return .success(addresses)
    }

    /// Asks all questions on one socket with a port of its own; false if there is none.
    private func askByDatagram(_ questions: inout [Question]) -> Bool {
        guard let socket = Socket(to: server, .datagram) else { return false }
        defer { socket.close() }
        for patience in patience {
            for question in questions where question.answer == nil { socket.send(question.query) }
            let deadline = ContinuousClock.now + patience
            while questions.contains(where: { $0.answer == nil }), socket.waitForBytes(until: deadline) {
                // What is no answer to a question of ours is dropped: it may be forged, and the true one yet to come.
                guard let bytes = socket.receive(DNSMessage.datagramMax) else { break }
                for index in questions.indices where questions[index].answer == nil {
                    guard let answer = questions[index].read(bytes) else { continue }
                    questions[index].answer = answer == .truncated ? askByConnection(questions[index]) : answer
                    break
                }
            }
            if questions.allSatisfy({ $0.answer != nil }) { break }
        }
        return true
    }

    /// Asks once more by TCP, where an answer may be 64 KiB long (RFC 7766).
    private func askByConnection(_ question: Question) -> DNSMessage.Answer {
        guard let socket = Socket(to: server, .stream) else { return .truncated }
        defer { socket.close() }
        let deadline = ContinuousClock.now + Self.connectionPatience
        let count = question.query.count
        socket.send([UInt8(count >> 8), UInt8(truncatingIfNeeded: count)] + question.query)
        var received: [UInt8] = []
        while socket.waitForBytes(until: deadline), let bytes = socket.receive(Int(UInt16.max)), !bytes.isEmpty {
            received += bytes
            guard received.count >= 2 else { continue }
            let wanted = Int(received[0]) << 8 | Int(received[1])
            guard received.count >= 2 + wanted else { continue }
            return question.read(Array(received[2..<2 + wanted])) ?? .truncated
        }
        return .truncated
    }
}

/// A connected socket that is waited for with `poll`.
private struct Socket {
    enum Kind {
        case datagram
        case stream
    }

    private let descriptor: CInt

    /// A datagram socket that is connected hears of nobody else; nil if the server cannot be reached.
    init?(to server: SocketAddress, _ kind: Kind) {
        let family: CInt =
            switch server {
            case .v6: AF_INET6
            case .v4, .unixDomainSocket: AF_INET
            }
        descriptor = socket(family, Self.number(kind), 0)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        // So that a connection that is never accepted is waited for with a bound.
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        let descriptor = descriptor
        let code = server.withSockAddr { address, length in connect(descriptor, address, socklen_t(length)) }
        let isUnderWay = code != 0 && errno == EINPROGRESS
        guard code == 0 || isUnderWay && wait(for: POLLOUT, until: .now + DNSLookup.connectionPatience) else {
            close()
            return nil
        }
    }

    private static func number(_ kind: Kind) -> CInt {
        #if canImport(Glibc)
            switch kind {
            case .datagram: CInt(SOCK_DGRAM.rawValue)
            case .stream: CInt(SOCK_STREAM.rawValue)
            }
        #else
            switch kind {
            case .datagram: SOCK_DGRAM
            case .stream: SOCK_STREAM
            }
        #endif
    }

    func send(_ bytes: [UInt8]) {
        #if canImport(Darwin)
            let flags: CInt = 0
        #else
            let flags = CInt(MSG_NOSIGNAL.self)
        #endif
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count, flags) }
    }

    private func write(_ descriptor: CInt, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: CInt) -> Int {
        #if canImport(Darwin)
            Darwin.send(descriptor, bytes, count, flags)
        #elseif canImport(Glibc)
            Glibc.send(descriptor, bytes, count, flags)
        #else
            Musl.send(descriptor, bytes, count, flags)
        #endif
    }

    /// False once the time is over.
    func waitForBytes(until deadline: ContinuousClock.Instant) -> Bool { wait(for: POLLIN, until: deadline) }

    private func wait(for event: CInt, until deadline: ContinuousClock.Instant) -> Bool {
        let (seconds, attoseconds) = (deadline - .now).components
        let left = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        guard left > 0 else { return false }
        var waited = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        return poll(&waited, 1, CInt(clamping: left)) > 0
    }

    /// What has come, at most so many bytes; nil after an error, such as that nobody listens there.
    func receive(_ maximum: Int) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: maximum)
        let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        return count < 0 ? nil : Array(buffer[..<count])
    }

    func close() {
        #if canImport(Darwin)
            _ = Darwin.close(descriptor)
        #elseif canImport(Glibc)
            _ = Glibc.close(descriptor)
        #else
            _ = Musl.close(descriptor)
        #endif
    }
}

import Foundation
import TocsinEngine

/// What a mail server says at once: a code and one or more lines.
struct SMTPReply: Equatable {
    var code: Int
    var lines: [String]

    var text: String { "\(code) \(lines.joined(separator: " "))" }
}

/// One message's way through a mail server (RFC 5321): says what to do next, and does nothing itself.
struct SMTPDialogue {
    enum Action: Equatable {
        case send([UInt8])
        /// Begin TLS, then call ``secured()``.
        case startTLS
        /// The server answers for the message now; the bytes say goodbye.
        case finish([UInt8])
        case fail(NotifierError)
    }

    private enum State: String {
        case greeting = "the connection"
        case hello = "EHLO"
        case startingTLS = "STARTTLS"
        case handshake = "the TLS handshake"
        case authentication = "AUTH"
        case sender = "MAIL"
        case recipient = "RCPT"
        case data = "DATA"
        case content = "the message"
        case over = "QUIT"
    }

    private let server: MailServer
    private let message: MailMessage
    /// Our name in EHLO: the address that we connect from, in brackets.
    private let clientName: String
    private var state = State.greeting
    private var isSecured: Bool

    init(server: MailServer, message: MailMessage, clientName: String) {
        self.server = server
        self.message = message
        self.clientName = clientName
        isSecured = server.security == .immediate
    }

    /// What is being waited for, in words.
    var waitsFor: String { state.rawValue }

    /// Whether TLS was asked for and has not begun.
    var isStartingTLS: Bool { state == .handshake }

    mutating func received(_ reply: SMTPReply) -> Action {
        switch (state, reply.code) {
        case (.greeting, 220): return hello()
        case (.hello, 250): return extended(by: reply)
        case (.startingTLS, 220):
            state = .handshake
            return .startTLS
        case (.authentication, 235): return mail()
        case (.sender, 250): return say(.recipient, "RCPT TO:<\(message.recipient)>")
        case (.recipient, 250...252): return say(.data, "DATA")
        case (.data, 354):
            state = .content
            return .send(Self.dotStuffed(message.bytes) + Array(".\r\n".utf8))
        case (.content, 250): return .finish(goodbye())
        default: return refused(reply)
        }
    }

    /// TLS stands; what was said before it does not count.
    mutating func secured() -> Action {
        isSecured = true
        return hello()
    }

    // MARK: Steps

    private mutating func hello() -> Action { say(.hello, "EHLO \(clientName)") }

    private mutating func extended(by reply: SMTPReply) -> Action {
        // The first line is the server's name.
        let words = reply.lines.dropFirst().map { $0.uppercased().split { $0 == " " || $0 == "=" } }
        if !isSecured, words.contains(where: { $0.first == "STARTTLS" }) { return say(.startingTLS, "STARTTLS") }
        if !isSecured, server.security == .required {
            return .fail(NotifierError(.insecure, "The mail server offers no STARTTLS, and smtp_url asks for TLS."))
        }
        guard let credentials = server.credentials else { return mail() }
        if !isSecured {
            return .fail(NotifierError(.insecure, "The mail server offers no STARTTLS: it is told no password."))
        }
        guard words.contains(where: { $0.first == "AUTH" && $0.contains("PLAIN") }) else {
            return .fail(NotifierError(.refused, "The mail server does not take AUTH PLAIN."))
        }
        let response = Data("\0\(credentials.user)\0\(credentials.password)".utf8).base64EncodedString()
        return say(.authentication, "AUTH PLAIN \(response)")
    }

    private mutating func mail() -> Action { say(.sender, "MAIL FROM:<\(message.sender.address)>") }

    private mutating func say(_ next: State, _ line: String) -> Action {
        state = next
        return .send(Array("\(line)\r\n".utf8))
    }

    private mutating func goodbye() -> [UInt8] {
        state = .over
        return Array("QUIT\r\n".utf8)
    }

    /// A no to the recipient or the message is for good where the server says so; any other is its own trouble, or ours
    /// with it, and may pass.
    private mutating func refused(_ reply: SMTPReply) -> Action {
        let concernsNotice =
            switch state {
            case .recipient, .data, .content: true
            case .greeting, .hello, .startingTLS, .handshake, .authentication, .sender, .over: false
            }
        let sentence = "The mail server answered \(state.rawValue) with \(reply.text)."
        return .fail(
            NotifierError(.refused, sentence, isPermanent: concernsNotice && (500...599).contains(reply.code))
        )
    }

    /// Doubles a dot that begins a line, so that none ends the message early (RFC 5321, 4.5.2).
    static func dotStuffed(_ bytes: [UInt8]) -> [UInt8] {
        var stuffed: [UInt8] = []
        stuffed.reserveCapacity(bytes.count + 16)
        var isLineStart = true
        for byte in bytes {
            if isLineStart, byte == UInt8(ascii: ".") { stuffed.append(byte) }
            stuffed.append(byte)
            isLineStart = byte == UInt8(ascii: "\n")
        }
        return stuffed
    }
}

/// Puts a mail server's bytes together to replies.
struct SMTPReplyReader {
    /// A reply of several lines, with room: RFC 5321 has 512 bytes a line.
    static let replyBytesMax = 16_384
    /// What of a reply is kept for people to read.
    static let lineLengthKept = 200

    private var buffer: [UInt8] = []
    private var lines: [String] = []
    private var size = 0

    /// Takes bytes, and returns the reply if they complete one.
    ///
    /// We never ask two things at once, so nothing may follow a reply: what did before a TLS handshake would be a
    /// stranger's.
    mutating func feed(_ bytes: some Sequence<UInt8>) throws(NotifierError) -> SMTPReply? {
        buffer += bytes
        while let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
            size += end + 1
            let reply = try take(buffer[..<end])
            buffer.removeSubrange(...end)
            guard let reply else { continue }
            if !buffer.isEmpty { throw Self.broken("more than it was asked") }
            size = 0
            return reply
        }
        if size + buffer.count > Self.replyBytesMax { throw Self.broken("an endless reply") }
        return nil
    }

    private mutating func take(_ line: some Collection<UInt8>) throws(NotifierError) -> SMTPReply? {
        let text = String(decoding: line, as: UTF8.self).filter { $0 != "\r" && $0 != "\r\n" }
        let digits = text.prefix(3)
        let rest = text.dropFirst(3)
        guard digits.utf8.count == 3, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let code = Int(digits), (200...599).contains(code), rest.isEmpty || rest.first == " " || rest.first == "-",
            size <= Self.replyBytesMax
        else { throw Self.broken("what is no reply") }
        let printable = rest.dropFirst().prefix(Self.lineLengthKept)
            .map { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } ? $0 : " " }
        lines.append(String(printable))
        if rest.first == "-" { return nil }
        defer { lines = [] }
        return SMTPReply(code: code, lines: lines)
    }

    private static func broken(_ what: String) -> NotifierError {
        NotifierError(.broken, "The mail server said \(what).")
    }
}

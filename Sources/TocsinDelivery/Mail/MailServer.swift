import Foundation

/// Where mail is handed in, as the setting `smtp_url` says it.
package struct MailServer: Hashable, Sendable {
    /// How private the connection must be.
    package enum Security: String, Sendable {
        /// TLS from the first byte (`smtps://`).
        case immediate
        /// STARTTLS or nothing.
        case required
        /// STARTTLS where it is offered; never with a password.
        case optional
    }

    package struct Credentials: Hashable, Sendable {
        package var user: String
        package var password: String
    }

    package var host: String
    package var port: Int
    package var security: Security
    package var credentials: Credentials?

    /// Reads `smtp://[user:password@]host[:port][?tls=optional|required]` or `smtps://…`.
    ///
    /// Without a word on it TLS is required, but not of a server on this machine. Characters with a meaning in URLs are
    /// written with `%` in user and password.
    ///
    /// - Throws: What is wrong, without quoting the URL: it holds a password.
    package init(_ text: String) throws(MailServerError) {
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
            scheme == "smtp" || scheme == "smtps", let written = parts.host, !written.isEmpty,
            parts.path.isEmpty || parts.path == "/", parts.fragment == nil
        else { throw MailServerError("it is not a URL such as smtp://user:password@mail.example.com:587") }
        let isBracketed = written.hasPrefix("[") && written.hasSuffix("]")
        host = isBracketed ? String(written.dropFirst().dropLast()) : written
        let isImmediate = scheme == "smtps"
        port = parts.port ?? (isImmediate ? Self.immediatePort : Self.submissionPort)
        guard (1...65_535).contains(port) else { throw MailServerError("its port is none") }
        security = try Self.security(parts.queryItems ?? [], isImmediate: isImmediate, host: host)
        guard let user = parts.user, !user.isEmpty else {
            credentials = nil
            return
        }
        guard let password = parts.password, !password.isEmpty else {
            throw MailServerError("it has a user and no password: write user:password@")
        }
        guard !user.utf8.contains(0), !password.utf8.contains(0) else {
            throw MailServerError("its user or password contains a zero byte")
        }
        credentials = Credentials(user: user, password: password)
    }

    /// Where mail programs hand mail in (RFC 6409), and where they do so with TLS from the start (RFC 8314).
    private static let submissionPort = 587
    private static let immediatePort = 465

    private static func security(
        _ items: [URLQueryItem],
        isImmediate: Bool,
        host: String
    ) throws(MailServerError) -> Security {
        if let other = items.first(where: { $0.name != "tls" }) {
            throw MailServerError("it has no option “\(other.name)”, only tls=optional or tls=required")
        }
        if isImmediate {
            if items.isEmpty { return .immediate }
            throw MailServerError("smtps:// is always TLS and takes no tls=")
        }
        guard let wanted = items.last else { return isThisMachine(host) ? .optional : .required }
        switch wanted.value {
        case "optional": return .optional
        case "required": return .required
        default: throw MailServerError("tls= is optional or required")
        }
    }

    private static func isThisMachine(_ host: String) -> Bool {
        host.lowercased() == "localhost" || IPAddress(host).map { AddressClass(of: $0) == .loopback } ?? false
    }
}

/// Why a text is not a mail server's URL.
package struct MailServerError: Error, Hashable, Sendable {
    package let sentence: String

    init(_ sentence: String) { self.sentence = sentence }
}

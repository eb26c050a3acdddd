/// Why a text is not a URL that webhooks can be sent to.
package struct EndpointURLError: Error, Hashable, Sendable {
    /// Stable words for programs.
    package enum Code: String, Sendable {
        case tooLong = "url_too_long"
        case badCharacter = "url_bad_character"
        case badScheme = "url_bad_scheme"
        case httpsRequired = "url_https_required"
        case userinfo = "url_userinfo"
        case fragment = "url_fragment"
        case badHost = "url_bad_host"
        case hostNotASCII = "url_host_not_ascii"
        case ambiguousAddress = "url_ambiguous_address"
        case refusedAddress = "url_refused_address"
        case badPort = "url_bad_port"
        case refusedPort = "url_refused_port"
    }

    package let code: Code
    package let sentence: String
    package let remedy: String
}

/// A webhook URL that was read strictly, so that no two parsers can disagree about where it leads.
///
/// It is made once per endpoint: the constant part of every request's head is encoded here.
package struct EndpointURL: Hashable, Sendable, CustomStringConvertible {
    package enum Scheme: String, Sendable {
        case http
        case https

        var defaultPort: Int {
            switch self {
            case .http: 80
            case .https: 443
            }
        }
    }

    /// Longer ones are refused by many servers and proxies.
    package static let lengthMax = 2048

    package let scheme: Scheme
    /// Lower case, without brackets or a trailing dot.
    package let host: String
    package let port: Int
    /// Path and query, as they go on the request line.
    package let target: String
    /// Set when the host is an address and not a name.
    package let literal: IPAddress?
    /// The request line and the headers that are the same for every attempt, up to the value of `Content-Length`.
    let constantHead: String

    /// Reads a URL, and asks the policy about its scheme, its port and, when the host is one, its address.
    package init(_ text: String, policy: EgressPolicy) throws(EndpointURLError) {
        let afterScheme = try Self.checkCharacters(text)
        scheme = try Self.scheme(text[..<afterScheme], policy: policy)
        let authorityStart = text.index(afterScheme, offsetBy: 3)
        let authorityEnd = text[authorityStart...].firstIndex { $0 == "/" || $0 == "?" } ?? text.endIndex
        let authority = text[authorityStart..<authorityEnd]
        guard !authority.contains("@") else {
            throw EndpointURLError(
                code: .userinfo,
                sentence: "The URL contains a user name or password.",
                remedy: "Remove what stands before the @, and use a custom header for credentials."
            )
        }
        let (hostText, portText) = try Self.split(authority)
        (host, literal) = try Self.host(hostText)
        port = try Self.port(portText, scheme: scheme, policy: policy)
        target = try Self.target(text[authorityEnd...])
        if let literal, case .refused(let refusal) = policy.verdict(for: literal, port: port) {
            throw EndpointURLError(
                code: .refusedAddress,
                sentence: "The host is \(refusal.clause).",
                remedy: "Use a host that is reachable from the public internet."
            )
        }
        let bracketed = literal?.family == .v6 ? "[\(host)]" : host
        let authorityValue = port == scheme.defaultPort ? bracketed : "\(bracketed):\(port)"
        constantHead = RequestEncoder.constantHead(target: target, host: authorityValue)
    }

    package var description: String {
        let bracketed = literal?.family == .v6 ? "[\(host)]" : host
        let portText = port == scheme.defaultPort ? "" : ":\(port)"
        return "\(scheme.rawValue)://\(bracketed)\(portText)\(target)"
    }

    /// Checks the length and every character, and returns where the scheme ends.
    private static func checkCharacters(_ text: String) throws(EndpointURLError) -> String.Index {
        guard text.utf8.count <= lengthMax else {
            throw EndpointURLError(
                code: .tooLong,
                sentence: "The URL is longer than \(lengthMax) bytes.",
                remedy: "Shorten the URL."
            )
        }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw EndpointURLError(
                code: .badCharacter,
                sentence: "The URL contains a space or a control character.",
                remedy: "Percent-encode or remove it."
            )
        }
        guard !text.contains("#") else {
            throw EndpointURLError(
                code: .fragment,
                sentence: "The URL contains a fragment, which is never sent to a server.",
                remedy: "Remove the # and what follows."
            )
        }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
            throw badScheme
        }
        return colon
    }

    private static let badScheme = EndpointURLError(
        code: .badScheme,
        sentence: "The URL does not begin with https://.",
        remedy: "Give a full https URL."
    )

    private static func scheme(_ text: Substring, policy: EgressPolicy) throws(EndpointURLError) -> Scheme {
        guard let scheme = Scheme(rawValue: text.lowercased()) else { throw badScheme }
        guard scheme == .https || policy.allowPrivate else {
            throw EndpointURLError(
                code: .httpsRequired,
                sentence: "Webhooks are sent by https only.",
                remedy: "Use https, or start the server with --allow-private-endpoints in a lab."
            )
        }
        return scheme
    }

    /// Parts host and port; brackets stay on the host.
    private static func split(_ authority: Substring) throws(EndpointURLError) -> (host: Substring, port: Substring?) {
        let hostEnd: Substring.Index
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else {
                throw badHost("has an opening bracket without a closing one")
            }
            hostEnd = authority.index(after: close)
        } else {
            hostEnd = authority.firstIndex(of: ":") ?? authority.endIndex
        }
        guard hostEnd < authority.endIndex else { return (authority, nil) }
        guard authority[hostEnd] == ":" else { throw badHost("is followed by something that is not a port") }
        return (authority[..<hostEnd], authority[authority.index(after: hostEnd)...])
    }

    private static func badHost(_ fault: String) -> EndpointURLError {
        EndpointURLError(
            code: .badHost,
            sentence: "The URL's host \(fault).",
            remedy: "Give a DNS name such as hooks.example.com."
        )
    }

    private static func host(_ text: Substring) throws(EndpointURLError) -> (String, IPAddress?) {
        if text.first == "[" {
            guard let address = IPAddress(String(text.dropFirst().dropLast())), address.family == .v6 else {
                throw badHost("is in brackets but is not an IPv6 address; zone ids are not allowed")
            }
            return (address.description, address)
        }
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw EndpointURLError(
                code: .hostNotASCII,
                sentence: "The URL's host contains characters outside ASCII.",
                remedy: "Write the host in punycode (xn--…)."
            )
        }
        var name = text.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        guard !name.isEmpty else { throw badHost("is empty") }
        guard name.utf8.count <= 253 else { throw badHost("is longer than 253 bytes") }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        for label in labels { try check(label: label) }
        guard let last = labels.last, looksNumeric(last) else { return (name, nil) }
        guard let address = IPAddress(name) else {
            throw EndpointURLError(
                code: .ambiguousAddress,
                sentence: "The URL's host is an IPv4 address in a form that programs read differently.",
                remedy: "Write it as four decimal numbers without leading zeros, or give a DNS name."
            )
        }
        return (name, address)
    }

    private static func check(label: Substring) throws(EndpointURLError) {
        guard (1...63).contains(label.utf8.count) else { throw badHost("has an empty or overlong label") }
        let isAllowed = label.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D || byte == 0x5F
        }
        guard isAllowed else { throw badHost("contains a character that DNS names do not have") }
        guard label.first != "-", label.last != "-" else { throw badHost("has a label that begins or ends with -") }
    }

    /// Tells whether some resolver could take a name that ends in this label for an IPv4 address.
    private static func looksNumeric(_ label: Substring) -> Bool {
        if label.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return true }
        return label.hasPrefix("0x") && label.dropFirst(2).allSatisfy(\.isHexDigit)
    }

    private static func port(
        _ text: Substring?,
        scheme: Scheme,
        policy: EgressPolicy
    ) throws(EndpointURLError) -> Int {
        guard let text else { return scheme.defaultPort }
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            text.first != "0", let port = Int(text), port <= 65535
        else {
            throw EndpointURLError(
                code: .badPort,
                sentence: "The URL's port is not a number from 1 to 65535.",
                remedy: "Correct the port, or leave it out together with its colon."
            )
        }
        guard policy.allows(port: port) else {
            let ports = policy.allowedPorts.sorted().map(String.init).joined(separator: ", ")
            throw EndpointURLError(
                code: .refusedPort,
                sentence: "Port \(port) is not allowed for webhooks.",
                remedy: "Use one of the ports \(ports)."
            )
        }
        return port
    }

    /// Checks path and query by RFC 3986, and gives an empty path its slash.
    private static func target(_ text: Substring) throws(EndpointURLError) -> String {
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "%") {
                let digits = bytes[(index + 1)...].prefix(2)
                let isHex = digits.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
                guard digits.count == 2, isHex else {
                    throw EndpointURLError(
                        code: .badCharacter,
                        sentence: "The URL has a % that is not followed by two hex digits.",
                        remedy: "Write a literal percent sign as %25."
                    )
                }
            } else if !isTargetByte(byte) {
                throw EndpointURLError(
                    code: .badCharacter,
                    sentence: "The URL's path or query contains a character that URLs do not have.",
                    remedy: "Percent-encode it."
                )
            }
        }
        return text.first == "/" ? String(text) : "/" + text
    }

    private static func isTargetByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default:
            targetMarks.contains(byte)
        }
    }

    private static let targetMarks = Set("-._~!$&'()*+,;=:@/?".utf8)
}

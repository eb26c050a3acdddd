import NIOSSL

/// Checks that a certificate names the host of a URL.
///
/// The TLS library, asked for a host name, is also content with a certificate for the address it is connected to. Such
/// certificates are sold, so whoever can forge a DNS answer could pass for any host: hence this second look.
enum HostCertificate {
    /// Tells whether a DNS subject alternative name is the host, or covers it with a `*` as its whole first label.
    static func names(_ certificate: NIOSSLCertificate, host: String) -> Bool {
        certificate._subjectAlternativeNames().contains { name in
            name.nameType == .dnsName && covers(String(decoding: name.contents, as: UTF8.self), host: host)
        }
    }

    /// Compares by RFC 6125: without regard to case, and a wildcard stands for exactly one label of at least three.
    static func covers(_ pattern: String, host: String) -> Bool {
        var pattern = pattern.lowercased()
        if pattern.hasSuffix(".") { pattern.removeLast() }
        guard pattern.hasPrefix("*.") else { return pattern == host }
        let suffix = pattern.dropFirst()
        guard suffix.dropFirst().contains("."), let dot = host.firstIndex(of: ".") else { return false }
        return host[dot...] == suffix
    }
}

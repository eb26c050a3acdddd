import Foundation
import NIOSSL
import Testing

@testable import TocsinDelivery

/// A self-signed certificate and its key, made for one test.
struct TestCertificate: Sendable {
    enum Validity: String, Sendable {
        case now = ""
        case past = "-startdate 20200101000000Z -enddate 20200201000000Z"
        case future = "-startdate 20900101000000Z -enddate 20900201000000Z"
    }

    let directory: URL
    var file: String { directory.appending(path: "cert.pem").path }
    var keyFile: String { directory.appending(path: "key.pem").path }

    /// Names `receiver.test` and 127.0.0.1, unless told otherwise.
    init(
        names: String = "DNS:receiver.test,IP:127.0.0.1",
        subject: String = "receiver.test",
        validity: Validity = .now
    ) async throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "tocsin-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        var request = """
            req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -subj /CN=\(subject) -addext \
            subjectAltName=\(names)
            """
        request += validity == .now ? " -x509 -days 2 -out cert.pem" : " -out request.pem"
        try await Self.openssl(request, in: directory)
        if validity == .now { return }
        // `req` makes no certificate of another time; a small authority does.
        let settings = """
            [ca]
            default_ca = own
            [own]
            database = index.txt
            serial = serial
            new_certs_dir = .
            default_md = sha256
            policy = any
            copy_extensions = copy
            [any]
            commonName = supplied
            """
        try Data(settings.utf8).write(to: directory.appending(path: "ca.cnf"))
        try Data().write(to: directory.appending(path: "index.txt"))
        try Data("01".utf8).write(to: directory.appending(path: "serial"))
        let signing = "ca -batch -selfsign -config ca.cnf -notext -keyfile key.pem -in request.pem -out cert.pem"
        try await Self.openssl("\(signing) \(validity.rawValue)", in: directory)
    }

    private static func openssl(_ arguments: String, in directory: URL) async throws {
        let openssl = Process()
        openssl.executableURL = URL(filePath: "/usr/bin/env")
        openssl.currentDirectoryURL = directory
        openssl.arguments = ["openssl"] + arguments.split(separator: " ").map(String.init)
        openssl.standardError = FileHandle.nullDevice
        try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
            openssl.terminationHandler = { _ in ended.resume() }
            do { try openssl.run() } catch { ended.resume(throwing: error) }
        }
        try #require(openssl.terminationStatus == 0, "openssl \(arguments)")
    }

    /// A server's settings; `clients` are the certificates that it demands one of.
    func serverContext(clients: TestCertificate? = nil, newest: TLSVersion? = nil) throws -> NIOSSLContext {
        let key = try NIOSSLPrivateKey(file: keyFile, format: .pem)
        let chain = try NIOSSLCertificate.fromPEMFile(file).map { NIOSSLCertificateSource.certificate($0) }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain,
            privateKey: .privateKey(key)
        )
        if let newest {
            configuration.minimumTLSVersion = .tlsv1
            configuration.maximumTLSVersion = newest
        }
        if let clients {
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .file(clients.file)
        }
        return try NIOSSLContext(configuration: configuration)
    }

    func chainText() throws -> String { try String(contentsOfFile: file, encoding: .utf8) }
    func keyText() throws -> String { try String(contentsOfFile: keyFile, encoding: .utf8) }

    func identity() throws -> ClientIdentity {
        try ClientIdentity(certificate: try chainText(), privateKey: try keyText())
    }

    func remove() { try? FileManager.default.removeItem(at: directory) }
}

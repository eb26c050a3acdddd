import NIOCore
import NIOPosix
import Testing
import TocsinCore
import TocsinEngine

@testable import TocsinDelivery

/// What the dialogue cannot show: connections that fail, break off or fall silent.
///
/// The rest is tried with a real mail
/// server in the end-to-end tests.
@Suite("SMTP connections", .timeLimit(.minutes(5))) struct SMTPNotifierTests {
    private func notifier(_ url: String, within limit: Duration = .seconds(30)) throws -> SMTPNotifier {
        try SMTPNotifier(
            server: try MailServer(url),
            sender: try #require(MailSender("alarms@example.com")),
            group: MultiThreadedEventLoopGroup.singleton,
            timeLimit: limit
        )
    }

    private func failure(_ notifier: SMTPNotifier, _ notice: Notice = .sample()) async -> NotifierError? {
        do throws(NotifierError) {
            try await notifier.deliver(notice)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a message is over when the server has taken it`() async throws {
        // Each step waits for the bytes of ours that it answers.
        let script: [ReceiverStep] = [
            .send("220 mail\r\n"), .bytes, .send("250 mail\r\n"), .bytes, .send("250 ok\r\n"), .bytes,
            .send("250 ok\r\n"), .bytes, .send("354 go on\r\n"), .bytes, .send("250 queued\r\n"),
        ]
        let server = try await ScriptedReceiver([script])
        let error = await failure(try notifier("smtp://127.0.0.1:\(server.port)"))
        #expect(error == nil)
        try await server.stop()
    }

    @Test func `a server that nobody answers for cannot be reached`() async throws {
        let server = try await ScriptedReceiver([[]])
        try await server.stop()
        let error = await failure(try notifier("smtp://127.0.0.1:\(server.port)"))
        #expect(error?.code == .unreachable)
        #expect(error?.isPermanent == false)
    }

    @Test(arguments: [[ReceiverStep.close], [.send("220 mail\r\n"), .bytes, .close], [.send("22"), .close]])
    func `a server that hangs up is tried again`(script: [ReceiverStep]) async throws {
        let server = try await ScriptedReceiver([script])
        let error = await failure(try notifier("smtp://127.0.0.1:\(server.port)"))
        #expect(error?.code == .broken)
        #expect(error?.isPermanent == false)
        try await server.stop()
    }

    @Test(arguments: ["smtp", "smtps"])
    func `a silent server is left at the time limit`(scheme: String) async throws {
        let server = try await ScriptedReceiver([[]])
        let error = await failure(try notifier("\(scheme)://127.0.0.1:\(server.port)", within: .milliseconds(300)))
        #expect(error?.code == .timeout)
        try await server.firstClosed.futureResult.get()
        try await server.stop()
    }

    @Test func `the end of the program breaks off`() async throws {
        let server = try await ScriptedReceiver([[.send("220 mail\r\n")]])
        let notifier = try notifier("smtp://127.0.0.1:\(server.port)")
        let task = Task { await failure(notifier) }
        task.cancel()
        #expect(await task.value?.code == .stopped)
        try await server.stop()
    }

    @Test func `a server that speaks no TLS where it should is told as such`() async throws {
        let server = try await ScriptedReceiver([[.bytes, .send("220 mail\r\n")]])
        let error = await failure(try notifier("smtps://127.0.0.1:\(server.port)"))
        #expect(error?.code == .insecure)
        try await server.stop()
    }

    @Test(arguments: ["ann@example.test>\r\nRCPT TO:<eve@example.test", "ann", "änn@example.test"])
    func `an address that is none never reaches the server`(address: String) async throws {
        let error = await failure(try notifier("smtp://127.0.0.1:1"), .sample(address: address))
        #expect(error?.code == .badAddress)
        #expect(error?.isPermanent == true)
    }
}

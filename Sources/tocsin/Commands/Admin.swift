import ArgumentParser
import TocsinCore
import TocsinEngine
import TocsinFleet
import TocsinJSON
import TocsinLedger

/// `tocsin admin`: what an operator of the machine does; all but the key's rotation works beside a running server.
struct Admin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Admin tokens, backups, checks and the encryption key.",
        subcommands: [Token.self, Backup.self, Restore.self, Verify.self, RotateKey.self]
    )

    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make, list and revoke admin tokens.",
            subcommands: [Create.self, List.self, Revoke.self]
        )
    }
}

extension Admin.Token {
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an admin token and print it: it is shown only this once."
        )

        @OptionGroup var global: GlobalOptions
        @Option(help: "What the token is for.") var name: String
        @Option(help: ArgumentHelp("The dealer it reaches; left out, it reaches everything.", valueName: "id or name"))
        var dealer: String?
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            if name.isEmpty || name.count > 200 { throw ValidationError("--name must have 1 to 200 characters") }
        }

        func run() async throws {
            let settings = try await Settings.load(global)
            let store = try await Store.open(settings, role: .guest)
            let secret = Credentials.adminToken(SystemRandomness())
            let (name, reference) = (name, dealer)
            do {
                let token = try await store.ledger.write { transaction in
                    try Self.insert(name: name, dealer: reference, secret: secret, into: transaction)
                }
                await store.close()
                guard json else { return Console.print(secret) }
                var object: JSONObject = ["token_id": .string(token.id.text), "name": .string(token.name)]
                object["dealer_id"] = token.dealerID.map { .string($0.text) }
                object["token"] = .string(secret)
                Console.print(.object(object))
            } catch {
                await store.close()
                throw error as? ProgramError ?? .failed("\(error)")
            }
        }

        private static func insert(
            name: String,
            dealer reference: String?,
            secret: String,
            into transaction: any LedgerTransaction
        ) throws -> AdminToken {
            let now = SystemClock().now
            var dealerID: DealerID?
            if let reference {
                let byID = try DealerID(reference).flatMap { try transaction.dealer($0, within: .platform) }
                guard let dealer = try byID ?? transaction.dealer(named: reference, within: .platform) else {
                    throw ProgramError.failed("there is no dealer “\(reference)”: `tocsin export` lists them")
                }
                dealerID = dealer.id
            }
            let token = AdminToken(
                id: SystemRandomness().id(at: now),
                name: name,
                hash: credentialHash(secret),
                dealerID: dealerID,
                createdAt: now
            )
            try transaction.insert(token)
            try transaction.append(
                AuditEntry(
                    at: now,
                    dealerID: dealerID,
                    actor: .init(.system, "tocsin admin"),
                    action: "admin_token.create",
                    target: token.id.text,
                    explanation: "the token “\(name)” was made on the command line",
                    cause: "request"
                )
            )
            return token
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List admin tokens; the tokens themselves are not kept."
        )

        @OptionGroup var global: GlobalOptions
        @Flag(help: "Print JSON.") var json = false

        func run() async throws {
            let settings = try await Settings.load(global)
            let ledger = try Store.openLedger(settings, role: .guest, mayCreate: false)
            let tokens = try await ledger.read { try $0.adminTokens(within: .platform) }
            try? await ledger.close()
            if json {
                let entries = tokens.map { token -> JSON in
                    var object: JSONObject = ["token_id": .string(token.id.text), "name": .string(token.name)]
                    object["dealer_id"] = token.dealerID.map { .string($0.text) }
                    object["revoked"] = .bool(token.isRevoked)
                    object["created_at"] = .string(token.createdAt.rfc3339Seconds)
                    return .object(object)
                }
                return Console.print(["data": .array(entries)])
            }
            var table = TextTable(["id", "name", "reaches", "made", ""])
            for token in tokens {
                let reach = token.dealerID?.text ?? "everything"
                let made = token.createdAt.rfc3339Seconds
                table.add([token.id.text, token.name, reach, made, token.isRevoked ? "revoked" : ""])
            }
            Console.print(table.text)
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Revoke an admin token: it stops working at once.")

        @OptionGroup var global: GlobalOptions
        @Argument(help: "The token's id, as `list` shows it.") var id: String

        func run() async throws {
            let settings = try await Settings.load(global)
            let ledger = try Store.openLedger(settings, role: .guest, mayCreate: false)
            let id = id
            do {
                try await ledger.write { transaction in
                    let tokens = try transaction.adminTokens(within: .platform)
                    guard var token = tokens.first(where: { $0.id.text == id }) else {
                        throw ProgramError.failed("there is no admin token \(id): `tocsin admin token list` shows them")
                    }
                    token.isRevoked = true
                    try transaction.update(token)
                    try transaction.append(
                        AuditEntry(
                            at: SystemClock().now,
                            dealerID: token.dealerID,
                            actor: .init(.system, "tocsin admin"),
                            action: "admin_token.revoke",
                            target: id,
                            explanation: "the token “\(token.name)” was revoked on the command line",
                            cause: "request"
                        )
                    )
                }
                try? await ledger.close()
            } catch {
                try? await ledger.close()
                throw error as? ProgramError ?? .failed("\(error)")
            }
            Console.note("revoked \(id)")
        }
    }
}

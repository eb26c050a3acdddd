import Testing
import TocsinCore
import TocsinEngine

@Suite struct UserCodeTests {
    @Test(arguments: ["4711", "0815", "90210", "13579246"]) func `a code that nobody tries first is taken`(
        _ code: String
    ) {
        #expect(UserCode.isAcceptable(code))
    }

    @Test(arguments: ["", "123", "0000", "1234", "4321", "7890", "123456789", "12a4", "１２３５"])
    func `a code that is short, long, weak or not digits is not taken`(_ code: String) {
        #expect(!UserCode.isAcceptable(code))
    }

    @Test func `a profile may ask for longer codes`() {
        #expect(UserCode.isAcceptable("471108", digits: ComplianceProfile.enG3.codeDigits))
        #expect(!UserCode.isAcceptable("4711", digits: ComplianceProfile.enG3.codeDigits))
    }

    private static let vault = Vault(key: [UInt8](repeating: 3, count: Vault.keyLength))

    private static func wanted(_ code: String, isDuress: Bool) -> WantedCode {
        WantedCode(code, isDuress: isDuress, at: SiteID(stored: "site_1"), digits: 4...8, vault: vault)
    }

    /// What the site has: 4711 as a normal code, 8090 and 5000 for duress.
    private static let held = [
        wanted("4711", isDuress: false).hash: false, wanted("8090", isDuress: true).hash: true,
        wanted("5000", isDuress: true).hash: true,
    ]

    @Test(
        arguments: [
            ("4711", false, false), ("4711", true, false), ("8090", false, false), ("8090", true, false),
            // A slip of the finger makes one normal code of another, which does no harm.
            ("4712", false, true), ("4710", false, true),
            // It must neither raise a silent alarm nor miss one.
            ("4712", true, false), ("4710", true, false), ("8089", false, false), ("8091", false, false),
            ("8091", true, false), ("4999", false, false),
            ("4713", true, true), ("8092", false, true), ("80900", false, true), ("1234", false, false),
        ]
    )
    func `a code is had if nobody holds it and no duress code is beside it`(
        code: String,
        isDuress: Bool,
        isAcceptable: Bool
    ) {
        let wanted = Self.wanted(code, isDuress: isDuress)
        #expect(wanted.isAcceptable { Self.held[$0] } == isAcceptable)
    }

    @Test func `whatever the reason, as many codes are looked for`() {
        for code in ["4711", "8089", "4713", "1234"] {
            for isDuress in [false, true] {
                var lookups = 0
                _ = Self.wanted(code, isDuress: isDuress).isAcceptable { hash in
                    lookups += 1
                    return Self.held[hash]
                }
                #expect(lookups == 3)
            }
        }
    }

    @Test func `a code's hash is its site's own`() {
        let here = UserCode.hash("4711", site: SiteID(stored: "site_1"), vault: Self.vault)
        #expect(here != UserCode.hash("4711", site: SiteID(stored: "site_2"), vault: Self.vault))
        #expect(here.utf8.count == 64)
    }
}

import Foundation
import Testing
import TocsinCore
import TocsinJSON

@testable import TocsinFleet

/// Reads a file of the `Tables` folder.
func table(_ name: String) throws -> String {
    let folder = try #require(Bundle.module.url(forResource: "Tables", withExtension: nil))
    return try String(contentsOf: folder.appending(path: name), encoding: .utf8)
}

struct FleetFileTests {
    /// A file and all that is said about it.
    struct Case: CustomTestStringConvertible, Sendable {
        var title: String
        var text: String
        var expected: [String]
        var testDescription: String { title }

        static let all: [Case] = {
            let text = (try? table("problems.txt")) ?? ""
            return text.components(separatedBy: "\n== ").dropFirst().map { section in
                let lines = section.components(separatedBy: "\n")
                let body = lines.dropFirst().prefix { !$0.hasPrefix("=> ") }
                let expected = lines.filter { $0.hasPrefix("=> ") }.map { String($0.dropFirst(3)) }
                return Case(title: lines[0], text: body.joined(separator: "\n") + "\n", expected: expected)
            }
        }()
    }

    @Test func `the table of problems is there`() { #expect(Case.all.count > 20) }

    @Test(arguments: Case.all) func `what cannot be is told with its line, its path and a remedy`(
        _ example: Case
    ) throws {
        let error = #expect(throws: FleetError.self) { _ = try FleetFile.parse(example.text) }
        let problems = error?.problems ?? []
        let told =
            problems.isEmpty
            ? ["1: \(error?.message ?? "")"]
            : problems.map { problem in
                let path = problem.place.path.isEmpty ? "" : "\(problem.place.path): "
                return "\(problem.place.line): \(path)\(problem.message)"
            }
        #expect(told.sorted() == example.expected.sorted())
    }

    @Test func `the documented example is read in full`() throws {
        let file = try FleetFile.parse(table("example.yaml"))

        let app = try #require(file.dealers?.first?.apps?.first)
        #expect(app.scopes == [.eventsRead, .sitesRead])
        #expect(app.endpoints?.first?.events == [.partitionArmed, .partitionDisarmed, .armingStateChanged])
        #expect(file.partners?.first?.armingModel == .partnerTriggered)
        let site = try #require(file.sites?.first)
        #expect(site.partner?.value == "PanelCo")
        #expect(site.partitions?.first?.exitDelays == [.away: 60, .stay: 30, .night: 0])
        #expect(site.fixtures[.zone]?.first?.number == 5)
        #expect(site.fixtures[.zone]?.first?.device?.value == "Hall camera")
        #expect(site.fixtures[.user]?.first?.code?.value == "4711")
        #expect(
            site.fixtures[.schedule]?.first?.settings
                == ["partition": 1, "arm": "away", "at": "18:00", "days": ["mon", "tue", "wed", "thu", "fri"]]
        )
    }

    @Test func `JSON is read like YAML`() throws {
        let json = #"{"sites":[{"name":"Caf\u00e9","dealer":"Acme","timezone":"UTC","test_mode":true}]}"#
        let site = try #require(try FleetFile.parse(json).sites?.first)
        #expect(site.name == "Café")
        #expect(site.testMode == true)
    }

    @Test func `a file beyond the limit is refused before it is read`() {
        let bytes = [UInt8](repeating: UInt8(ascii: "#"), count: FleetFile.maximumBytes + 1)
        let error = #expect(throws: FleetError.self) { _ = try FleetFile.parse(bytes) }
        #expect(error?.code == .malformed)
    }

    @Test func `invalid UTF-8, NUL and endless nesting are refused`() {
        #expect(throws: FleetError.self) { _ = try FleetFile.parse([0x64, 0xFF, 0xFE]) }
        #expect(throws: FleetError.self) { _ = try FleetFile.parse(Array("dealers: [{name: \"a\\0b\"}]".utf8)) }
        #expect(throws: FleetError.self) { _ = try FleetFile.parse(String(repeating: "[", count: 100_000)) }
    }

    @Test func `a file that is wrong throughout is told so once`() throws {
        let text = "dealers:\n" + String(repeating: "  - 1\n", count: 5_000)
        let error = #expect(throws: FleetError.self) { _ = try FleetFile.parse(text) }
        #expect(error?.problems.count == 100)
        #expect(error?.message == "the fleet file has 5000 problems, of which the first 100 are told")
    }

    @Test func `YAML that is written is read back as it was`() throws {
        let value: JSON = [
            "plain": "Main Street 1", "colon": "a: b", "number": "4711", "word": "true", "empty": "",
            "url": "https://a.test/x",
            "quote": "say \"hi\"\n", "umlaut": "Büro", "dash": "- x", "hash": "a #b", "list": [1, "x", nil, []],
            "deep": [["name": "x", "inner": [["k": "v"]]], ["name": "y"]],
            "long": [["a": .string(String(repeating: "x", count: 200))]],
        ]
        let node = try FleetText.compose(Array(FleetYAML.text(value).utf8))
        #expect(node.json == value)
    }
}

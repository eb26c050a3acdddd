import Foundation
import Testing

@testable import TocsinCore

/// `docs/events.md` is what the catalogue prints; with `TOCSIN_WRITE_DOCS` the test writes it anew.
struct EventPageTests {
    private static let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "docs/events.md")

    @Test func `the page of events is what the catalogue prints`() throws {
        if ProcessInfo.processInfo.environment["TOCSIN_WRITE_DOCS"] != nil {
            try Data(EventCatalog.page.utf8).write(to: Self.page)
        }
        let written = try String(contentsOf: Self.page, encoding: .utf8)
        let printed = EventCatalog.page
        let pairs = zip(written.split(separator: "\n"), printed.split(separator: "\n"))
        let difference = pairs.first { $0 != $1 }
        #expect(
            written == printed,
            """
            docs/events.md is not what the tables say: “\(difference?.0 ?? "…")” should be “\(difference?.1 ?? "…")”. \
            Print it anew: TOCSIN_WRITE_DOCS=1 ./tocsin test --filter EventPageTests
            """
        )
    }

    @Test func `the page tells every type with its scope, its members and an example`() {
        for entry in EventCatalog.all {
            let section = EventCatalog.page.components(separatedBy: "### \(entry.type.rawValue)\n").last ?? ""
            let ours = section.components(separatedBy: "\n### ")[0]
            #expect(ours.contains(entry.scope?.rawValue ?? "no scope"), "\(entry.type)")
            #expect(ours.contains("```json"), "\(entry.type)")
            for field in entry.payload { #expect(ours.contains("| `\(field.name)` |"), "\(entry.type)") }
        }
    }
}

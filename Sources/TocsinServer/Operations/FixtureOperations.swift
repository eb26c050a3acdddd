import TocsinCore
import TocsinLedger

/// Lists of what belongs to a site, whatever it is.
enum FixtureOperations {
    /// A page of fixtures in the order of their numbers and names, which tell each apart within a site.
    static func page(_ request: PageRequest, of fixtures: [Fixture]) throws -> Page<Fixture> {
        var keyed = fixtures.map { (key: key(of: $0), fixture: $0) }.sorted { $0.key < $1.key }
        if let after = request.after { keyed.removeAll { $0.key <= after } }
        let items = keyed.prefix(request.limit)
        return Page(items: items.map(\.fixture), next: keyed.count > items.count ? items.last?.key : nil)
    }

    private static func key(of fixture: Fixture) -> String {
        // Five digits hold every number; the site sets apart what several of them call alike.
        "\(String(fixture.number ?? 0).leftPadded) \(fixture.name) \(fixture.id)"
    }
}

extension String {
    fileprivate var leftPadded: String { String(repeating: "0", count: max(0, 5 - count)) + self }
}

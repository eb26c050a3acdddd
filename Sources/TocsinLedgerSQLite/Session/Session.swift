import GRDB
import TocsinCore
import TocsinLedger

/// Everything that can be asked, over one connection inside a transaction; the answers are in the extensions beside this.
protocol SQLiteReading: LedgerReader {
    var database: Database { get }
}

/// A read transaction.
struct SQLiteReader: SQLiteReading {
    let database: Database
}

/// A write transaction; it shares its commit with whatever else was waiting.
struct SQLiteTransaction: SQLiteReading, LedgerTransaction {
    let database: Database
}

/// A condition with its values, put together from parts that are all joined by AND.
struct Condition {
    private var terms: [String] = []
    private(set) var values: [any Bindable] = []

    mutating func add(_ term: String, _ values: any Bindable...) {
        terms.append(term)
        self.values += values
    }

    /// Adds a term where there is something to compare with.
    mutating func add(_ term: String, ifPresent value: (some Bindable)?) {
        if let value { add(term, value) }
    }

    /// `WHERE …`; without terms nothing is restricted.
    var sql: String { terms.isEmpty ? "" : "WHERE " + terms.joined(separator: " AND ") }
}

extension PageRequest {
    /// The number of items of a page, whatever was asked for.
    var boundedLimit: Int { min(max(limit, 1), Self.maximumLimit) }
}

extension Page {
    /// Makes a page of one item more than it shows, which tells whether there is another.
    init(_ found: [Item], limit: Int, key: (Item) -> String) {
        let items = Array(found.prefix(limit))
        self.init(items: items, next: found.count > limit ? items.last.map(key) : nil)
    }
}

extension SQLiteReading {
    /// A page of a list that is ordered by id.
    func page<Item>(
        _ select: String,
        where condition: Condition,
        page: PageRequest,
        key: (Item) -> String,
        read: (ResultRow) throws -> Item
    ) throws -> Page<Item> {
        var condition = condition
        condition.add("id > ?", ifPresent: page.after)
        let limit = page.boundedLimit
        let sql = "\(select) \(condition.sql) ORDER BY id LIMIT ?"
        return Page(try database.all(sql, condition.values + [limit + 1], read: read), limit: limit, key: key)
    }
}

/// Lists of words as the ledger keeps them: separated by commas, sorted.
enum WordList {
    static func text(_ words: some Collection<String>) -> String { words.sorted().joined(separator: ",") }

    static func words(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }
}

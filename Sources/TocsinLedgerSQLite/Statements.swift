import GRDB
import GRDBSQLite
import TocsinCore

/// What a statement's parameter can be given.
protocol Bindable {
    /// Binds the value; its bytes go into the desk if there is one with room for them.
    func bind(_ statement: OpaquePointer, _ index: Int32, _ desk: BindingDesk?) -> Int32
}

// SQLite copies what it is given: the bytes need not outlive the call.
private let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

/// Keeps the bytes of a statement's parameters while it runs.
///
/// SQLite's own copy of each is an allocation; a decision has forty. One desk serves statements that run one after the
/// other.
final class BindingDesk {
    /// More than the parameters of any decision but the largest; what has no room is copied by SQLite.
    private static let byteCount = 64 << 10

    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 8)
    private var used = 0

    deinit { bytes.deallocate() }

    /// Copies bytes to where they stay until ``clear()``; nil if there is no room.
    fileprivate func keep(_ source: UnsafeRawBufferPointer) -> UnsafeRawPointer? {
        guard let start = bytes.baseAddress, source.count <= bytes.count - used else { return nil }
        let place = start + used
        if let from = source.baseAddress { place.copyMemory(from: from, byteCount: source.count) }
        used += source.count
        return UnsafeRawPointer(place)
    }

    fileprivate func clear() { used = 0 }
}

extension Int64: Bindable {
    func bind(_ statement: OpaquePointer, _ index: Int32, _: BindingDesk?) -> Int32 {
        sqlite3_bind_int64(statement, index, self)
    }
}

extension Int: Bindable {
    func bind(_ statement: OpaquePointer, _ index: Int32, _: BindingDesk?) -> Int32 {
        sqlite3_bind_int64(statement, index, Int64(self))
    }
}

extension Bool: Bindable {
    func bind(_ statement: OpaquePointer, _ index: Int32, _: BindingDesk?) -> Int32 {
        sqlite3_bind_int(statement, index, self ? 1 : 0)
    }
}

extension Instant: Bindable {
    func bind(_ statement: OpaquePointer, _ index: Int32, _: BindingDesk?) -> Int32 {
        sqlite3_bind_int64(statement, index, millisecondsSinceEpoch)
    }
}

extension String: Bindable {
    func bind(_ statement: OpaquePointer, _ index: Int32, _ desk: BindingDesk?) -> Int32 {
        var text = self
        return text.withUTF8 { bytes in
            let count = Int32(bytes.count)
            if let kept = desk?.keep(UnsafeRawBufferPointer(bytes)) {
                return sqlite3_bind_text(statement, index, kept.assumingMemoryBound(to: CChar.self), count, nil)
            }
            // An empty text may come without an address, which SQLite would take for null.
            guard let start = bytes.baseAddress else { return sqlite3_bind_text(statement, index, "", 0, copied) }
            return start.withMemoryRebound(to: CChar.self, capacity: bytes.count) {
                sqlite3_bind_text(statement, index, $0, count, copied)
            }
        }
    }
}

extension ID: Bindable {
    func bind(_ statement: OpaquePointer, _ index: Int32, _ desk: BindingDesk?) -> Int32 {
        text.bind(statement, index, desk)
    }
}

extension [UInt8]: Bindable {
    func bind(_ statement: OpaquePointer, _ index: Int32, _ desk: BindingDesk?) -> Int32 {
        withUnsafeBytes { bytes in
            if let kept = desk?.keep(bytes) {
                return sqlite3_bind_blob(statement, index, kept, Int32(bytes.count), nil)
            }
            guard let start = bytes.baseAddress, !bytes.isEmpty else {
                return sqlite3_bind_zeroblob(statement, index, 0)
            }
            return sqlite3_bind_blob(statement, index, start, Int32(bytes.count), copied)
        }
    }
}

extension Optional: Bindable where Wrapped: Bindable {
    func bind(_ statement: OpaquePointer, _ index: Int32, _ desk: BindingDesk?) -> Int32 {
        switch self {
        case .none: sqlite3_bind_null(statement, index)
        case .some(let value): value.bind(statement, index, desk)
        }
    }
}

/// The row that a statement stands on; columns are named by their position.
struct ResultRow {
    fileprivate let statement: OpaquePointer

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
    func int(_ column: Int32) -> Int { Int(integer(column)) }
    func bool(_ column: Int32) -> Bool { integer(column) != 0 }
    func instant(_ column: Int32) -> Instant { Instant(millisecondsSinceEpoch: integer(column)) }

    func text(_ column: Int32) -> String {
        guard let start = sqlite3_column_text(statement, column) else { return "" }
        let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
        return String(decoding: bytes, as: UTF8.self)
    }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let start = sqlite3_column_blob(statement, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
    }

    func id<Noun>(_ column: Int32) -> ID<Noun> { ID(stored: text(column)) }

    /// Reads a column that may be null.
    func optional<Value>(_ column: Int32, _ read: (Int32) -> Value) -> Value? {
        isNull(column) ? nil : read(column)
    }

    /// Reads a word of ours; a word that this program does not know is damage, or a newer program's.
    func word<Word: RawRepresentable>(_ column: Int32, _: Word.Type = Word.self) throws -> Word
    where Word.RawValue == String {
        let text = text(column)
        guard let word = Word(rawValue: text) else {
            throw LedgerDamage(description: "the ledger holds \"\(text)\" where a \(Word.self) should be")
        }
        return word
    }
}

/// A stored value that this program cannot read.
struct LedgerDamage: Error, CustomStringConvertible {
    var description: String
}

/// A prepared statement that is bound and stepped without any detour: what the hot verbs are made of.
///
/// GRDB prepares and keeps the statement; its own binding layer costs as much as SQLite's work itself.
struct PreparedStatement {
    private let connection: OpaquePointer?
    private let statement: OpaquePointer
    // GRDB finalizes the handle when the last reference to its statement goes.
    private let owner: Statement
    private let desk: BindingDesk?

    init(_ database: Database, _ sql: String, on desk: BindingDesk? = nil) throws {
        self.desk = desk
        owner = try database.cachedStatement(sql: sql)
        statement = owner.sqliteStatement
        connection = database.sqliteConnection
    }

    /// Runs the statement and returns how many rows it changed.
    @discardableResult
    func run<each Value: Bindable>(_ values: repeat each Value) throws -> Int {
        defer { reset() }
        try bind(repeat each values)
        let code = sqlite3_step(statement)
        guard code == SQLITE_DONE || code == SQLITE_ROW else { throw failure() }
        return Int(sqlite3_changes(connection))
    }

    /// Calls `body` with each row, until it returns false.
    func forEach<each Value: Bindable>(_ values: repeat each Value, body: (ResultRow) throws -> Bool) throws {
        defer { reset() }
        try bind(repeat each values)
        try step(body)
    }

    private func reset() {
        sqlite3_reset(statement)
        guard let desk else { return }
        // The next to use the desk writes over what this statement was bound to.
        sqlite3_clear_bindings(statement)
        desk.clear()
    }

    func first<each Value: Bindable, Result>(
        _ values: repeat each Value,
        read: (ResultRow) throws -> Result
    ) throws -> Result? {
        var result: Result?
        try forEach(repeat each values) { row in
            result = try read(row)
            return false
        }
        return result
    }

    fileprivate func forEach(_ values: [any Bindable], body: (ResultRow) throws -> Bool) throws {
        defer { sqlite3_reset(statement) }
        for (index, value) in values.enumerated() where value.bind(statement, Int32(index + 1), nil) != SQLITE_OK {
            throw failure()
        }
        try step(body)
    }

    private func step(_ body: (ResultRow) throws -> Bool) throws {
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: guard try body(ResultRow(statement: statement)) else { return }
            case SQLITE_DONE: return
            default: throw failure()
            }
        }
    }

    private func bind<each Value: Bindable>(_ values: repeat each Value) throws {
        var index: Int32 = 1
        for value in repeat each values {
            if value.bind(statement, index, desk) != SQLITE_OK { throw failure() }
            index += 1
        }
    }

    private func failure() -> DatabaseError {
        DatabaseError(
            resultCode: ResultCode(rawValue: sqlite3_extended_errcode(connection)),
            message: connection.map { String(cString: sqlite3_errmsg($0)) },
            sql: owner.sql
        )
    }
}

extension Database {
    /// Runs a statement and returns how many rows it changed.
    @discardableResult
    func run(_ sql: String, _ values: [any Bindable] = []) throws -> Int {
        try PreparedStatement(self, sql).forEach(values) { _ in true }
        return changesCount
    }

    /// Every row of a query.
    func all<Result>(
        _ sql: String,
        _ values: [any Bindable] = [],
        read: (ResultRow) throws -> Result
    ) throws -> [Result] {
        var results: [Result] = []
        try PreparedStatement(self, sql).forEach(values) { row in
            results.append(try read(row))
            return true
        }
        return results
    }

    func first<Result>(
        _ sql: String,
        _ values: [any Bindable] = [],
        read: (ResultRow) throws -> Result
    ) throws -> Result? {
        var result: Result?
        try PreparedStatement(self, sql).forEach(values) { row in
            result = try read(row)
            return false
        }
        return result
    }

    func exists(_ sql: String, _ values: [any Bindable]) throws -> Bool {
        try first(sql, values) { _ in true } ?? false
    }

    func number(_ sql: String, _ values: [any Bindable] = []) throws -> Int64 {
        try first(sql, values) { $0.integer(0) } ?? 0
    }

    /// Rows of a query until `body` returns false.
    func each(_ sql: String, _ values: [any Bindable], body: (ResultRow) throws -> Bool) throws {
        try PreparedStatement(self, sql).forEach(values, body: body)
    }
}

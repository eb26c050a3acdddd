import TocsinLedger

/// One promise of the ledger's port, and how it is tried on an empty ledger.
package struct LedgerCase: Sendable, CustomStringConvertible {
    /// The promise as a sentence.
    package let name: String
    /// Throws ``ConformanceFailure`` if the promise is broken.
    package let run: @Sendable (any Ledger) async throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (any Ledger) async throws -> Void) {
        self.name = name
        self.run = run
    }

    package var description: String { name }
}

/// What every adapter of the ledger must do: written against the port alone.
package enum LedgerConformance {
    package static let all =
        commitCases + groupCases + tenantCases + deletionCases + tenancyCases + siteCases + appCases + endpointCases
        + eventCases
        + deliveryCases + taskCases + noticeCases + deviceCases + snapshotCases + relayCases + auditCases
        + housekeepingCases
        + purgeCases + platformCases + historyCases + AlarmCases.all
}

/// A promise that was not kept.
package struct ConformanceFailure: Error, CustomStringConvertible {
    package let description: String
}

func expect(_ condition: Bool, _ sentence: String, line: Int = #line, file: String = #fileID) throws {
    if !condition { throw ConformanceFailure(description: "\(file):\(line): \(sentence)") }
}

func expectEqual<T: Equatable>(_ found: T, _ expected: T, line: Int = #line, file: String = #fileID) throws {
    if found != expected { throw ConformanceFailure(description: "\(file):\(line): \(found) is not \(expected)") }
}

func expectEqual<T: Equatable>(_ found: T?, _ expected: T, line: Int = #line, file: String = #fileID) throws {
    try expectEqual(found, Optional(expected), line: line, file: file)
}

func require<T>(
    _ value: T?,
    _ sentence: String = "something is missing",
    line: Int = #line,
    file: String = #fileID
) throws -> T {
    guard let value else { throw ConformanceFailure(description: "\(file):\(line): \(sentence)") }
    return value
}

/// Expects a ledger's error with this code, and for `duplicate` the field that it names.
func expectRefusal(
    _ code: LedgerError.Code,
    _ subject: String? = nil,
    line: Int = #line,
    file: String = #fileID,
    _ body: () async throws -> Void
) async throws {
    do {
        try await body()
    } catch let error as LedgerError {
        try expectEqual(error.code, code, line: line, file: file)
        if let subject { try expectEqual(error.subject, subject, line: line, file: file) }
        return
    }
    throw ConformanceFailure(description: "\(file):\(line): nothing was refused")
}

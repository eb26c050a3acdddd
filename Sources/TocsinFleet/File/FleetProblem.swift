import TocsinJSON

/// A place in the file, as a person finds it: the line, and the path of members.
package struct Place: Hashable, Sendable {
    /// Counted from 1.
    package var line: Int
    /// `sites[0].zones[2].type`; empty for the file itself.
    package var path: String

    package init(line: Int, path: String) {
        self.line = line
        self.path = path
    }

    func member(_ name: String, line: Int? = nil) -> Place {
        Place(line: line ?? self.line, path: path.isEmpty ? name : "\(path).\(name)")
    }
}

/// Something in the file that cannot be, and what to do about it.
package struct FleetProblem: Hashable, Sendable, CustomStringConvertible {
    package var place: Place
    /// What is wrong and what to write instead.
    package var message: String

    package init(_ place: Place, _ message: String) {
        self.place = place
        self.message = message
    }

    package var description: String {
        place.path.isEmpty ? "line \(place.line): \(message)" : "line \(place.line): \(place.path): \(message)"
    }

    package var json: JSON {
        ["line": JSON(place.line), "path": .string(place.path), "message": .string(message)]
    }
}

/// Why a fleet file was not applied; nothing of it is in the ledger unless `partial` says so.
package struct FleetError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Not YAML or JSON that can be read, or too large.
        case malformed
        /// Read, but it asks for what cannot be.
        case invalid
        /// Pruning would delete what is armed, in alarm or has undelivered events.
        case refused
        /// The ledger failed on the way.
        case failed
    }

    package var code: Code
    package var message: String
    package var problems: [FleetProblem]
    /// What was stored before a later batch of a large file failed: its secrets are shown here or never.
    package var partial: FleetResult?

    package init(
        _ code: Code,
        _ message: String,
        problems: [FleetProblem] = [],
        partial: FleetResult? = nil
    ) {
        self.code = code
        self.message = message
        self.problems = problems
        self.partial = partial
    }

    package var description: String {
        ([message] + problems.map(\.description)).joined(separator: "\n")
    }
}

/// Problems in the order of their lines; a file that is wrong throughout is not told so a thousand times.
struct ProblemList {
    /// More than anybody mends in one go.
    static let maximum = 100

    private(set) var all: [FleetProblem] = []
    private var leftOut = 0
    /// How many of them no force overrides.
    private var firm = 0

    var isEmpty: Bool { all.isEmpty }

    mutating func add(_ place: Place, _ message: String) {
        guard all.count < Self.maximum else {
            leftOut += 1
            return
        }
        all.append(FleetProblem(place, message))
    }

    /// Adds what must wait until something else was done: the message says what.
    mutating func addFirm(_ place: Place, _ message: String) {
        firm += 1
        add(place, message)
    }

    mutating func add(_ problems: [FleetProblem]) {
        for problem in problems { add(problem.place, problem.message) }
    }

    /// The error that tells all of them; none if there is none.
    func error(_ code: FleetError.Code = .invalid, named name: String = "the fleet file") -> FleetError? {
        guard !all.isEmpty else { return nil }
        let count = all.count + leftOut
        let message =
            switch code {
            case .malformed, .invalid, .failed: "\(name) has \(count) problem\(count == 1 ? "" : "s")"
            case .refused: refusals(of: count)
            }
        let shown = leftOut == 0 ? message : "\(message), of which the first \(all.count) are told"
        return FleetError(code, shown, problems: all.sorted { $0.place.line < $1.place.line })
    }

    /// Names a remedy that works: force overrides deletions, and nothing else.
    private func refusals(of count: Int) -> String {
        func words(_ count: Int, _ noun: String) -> String {
            "\(count) \(noun)\(count == 1 ? " was" : "s were") refused"
        }
        let deletions = count - firm
        if firm == 0 { return "\(words(count, "deletion")); --force overrides" }
        let waiting = "\(words(firm, "change")): do first what is said there, --force does not override"
        return deletions == 0 ? waiting : "\(words(deletions, "deletion")), which --force overrides; \(waiting)"
    }
}

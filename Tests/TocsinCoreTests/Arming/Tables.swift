import Foundation
import Testing
import TocsinCore

/// A table of cases that a domain person can read; Tables/README.txt explains the form.
struct Table {
    /// One clause of a line: plain words, and facts written `name=value`.
    struct Phrase {
        var line: Int
        var words: [String] = []
        var facts: [(name: String, value: String)] = []

        func fact(_ name: String) -> String? { facts.first { $0.name == name }?.value }
    }

    /// Something that happens at a time, and all that must follow; `expected` is none where the table says `…`.
    struct Step {
        var isWhatIf: Bool
        var at: Instant
        var input: Phrase
        var expected: [Phrase]?
    }

    struct Case {
        var line: Int
        var title: String
        /// How the site differs in this case: its `with` lines.
        var site: [Phrase] = []
        var steps: [Step] = []
    }

    /// A line that does not have the form of a table.
    struct Mistake: Error, CustomStringConvertible {
        var description: String
    }

    let name: String
    /// The lines before the first case: what is configured.
    private(set) var site: [Phrase] = []
    private(set) var cases: [Case] = []
    private let path: String

    init(named name: String) throws {
        let url = Bundle.module.bundleURL.appending(path: "Tables/\(name).txt")
        try self.init(name: name, path: url.path(), text: String(contentsOf: url, encoding: .utf8))
    }

    init(name: String, path: String = "", text: String) throws {
        self.name = name
        self.path = path
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            try read(String(line), number: index + 1)
        }
    }

    func mistake(_ line: Int, _ reason: String) -> Mistake { Mistake(description: "\(name).txt:\(line): \(reason)") }

    /// Where a failed expectation is reported: the line of the table, not of the program that reads it.
    func location(_ line: Int) -> SourceLocation {
        SourceLocation(fileID: "Tables/\(name).txt", filePath: path, line: line, column: 1)
    }

    private mutating func read(_ line: String, number: Int) throws {
        let tokens = try Self.tokens(of: line) ?? { throw mistake(number, "a quotation mark is missing") }()
        guard let first = tokens.first else { return }
        if first == "==" {
            cases.append(Case(line: number, title: line.dropFirst(2).trimmingCharacters(in: .whitespaces)))
        } else if cases.isEmpty {
            site.append(phrase(tokens, number))
        } else if first == "with" {
            cases[cases.count - 1].site.append(phrase(tokens.dropFirst(), number))
        } else if line.first == " " {
            try add(phrases(tokens, number), number)
        } else {
            try cases[cases.count - 1].steps.append(step(tokens, number))
        }
    }

    /// A line that begins with white space says more about what follows from the step above it.
    private mutating func add(_ more: [Phrase], _ number: Int) throws {
        let current = cases.count - 1
        guard let last = cases[current].steps.indices.last, let expected = cases[current].steps[last].expected else {
            throw mistake(number, "an indented line must follow a step whose outcome is told")
        }
        cases[current].steps[last].expected = expected + more
    }

    private func step(_ tokens: [String], _ number: Int) throws -> Step {
        let isWhatIf = tokens[0] == "?"
        let rest = Array(isWhatIf ? tokens[1...] : tokens[...])
        guard let time = rest.first, let at = Self.instant(time) else {
            throw mistake(number, "a step begins with a time as 10:00:00 or 10:00:00.250")
        }
        guard let arrow = rest.firstIndex(of: "→"), arrow > 1 else {
            throw mistake(number, "a step needs an input, an arrow → and what follows")
        }
        let outcome = rest[(arrow + 1)...]
        return Step(
            isWhatIf: isWhatIf,
            at: at,
            input: phrase(rest[1..<arrow], number),
            expected: outcome == ["…"] ? nil : phrases(outcome, number)
        )
    }

    private func phrases(_ tokens: some Collection<String>, _ number: Int) -> [Phrase] {
        tokens.split(separator: ";").map { phrase($0, number) }
    }

    private func phrase(_ tokens: some Collection<String>, _ number: Int) -> Phrase {
        var phrase = Phrase(line: number)
        for token in tokens {
            if let equals = token.firstIndex(of: "=") {
                phrase.facts.append((String(token[..<equals]), String(token[token.index(after: equals)...])))
            } else {
                phrase.words.append(token)
            }
        }
        return phrase
    }

    /// The time of a table: all of them play on the catalogue's day.
    static func instant(_ text: String) -> Instant? { try? Instant(rfc3339: "2026-05-26T\(text)Z") }

    /// Splits at spaces and semicolons that are not quoted, up to a comment; none if a quotation does not end.
    private static func tokens(of line: String) -> [String]? {
        var tokens: [String] = []
        var word = ""
        var isQuoted = false
        func finish() {
            if !word.isEmpty { tokens.append(word) }
            word = ""
        }
        for character in line {
            switch character {
            case "\"": isQuoted.toggle()
            case _ where isQuoted: word.append(character)
            case "#":
                finish()
                return tokens
            case " ": finish()
            case ";":
                finish()
                tokens.append(";")
            default: word.append(character)
            }
        }
        finish()
        return isQuoted ? nil : tokens
    }
}

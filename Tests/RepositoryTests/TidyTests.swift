import Foundation
import Testing

/// The repository's own rules, held by tests instead of memory (CONTRIBUTING, habits).
@Suite struct TidyTests {
    static let linesPerFile = 600
    static let linesPerFunction = 70

    /// What no source may contain, what to do instead, and where it is allowed all the same.
    static let banned: [(text: String, instead: String, allowed: [String])] = [
        ("try!", "throw a typed error", []),
        (" as! ", "use as? and say what was expected", []),
        ("fatalError(", "throw, or return what went wrong", []),
        ("nonisolated(unsafe)", "use a Mutex", []),
        ("Task.detached", "use structured tasks", []),
        ("Date()", "take a WallClock", ["Sources/TocsinEngine/Clock.swift"]),
        ("UUID()", "take a Randomness", []),
        (".random(", "take a Randomness", []),
        ("SystemRandomNumberGenerator()", "take a Randomness", ["Sources/TocsinEngine/Clock.swift"]),
        ("TO" + "DO", "do it, or open an issue", []),
        ("FIX" + "ME", "fix it, or open an issue", []),
        ("/wo" + "rk/", "no machine's paths", []),
        ("Thread.sleep", "wait for a signal", []),
    ]

    @Test func `no source contains what is banned`() throws {
        for file in try Repository.files(in: "Sources", ending: ".swift") {
            for rule in Self.banned where !rule.allowed.contains(file.path) {
                for (index, line) in file.lines.enumerated() where line.contains(rule.text) {
                    Issue.record("\(file.path):\(index + 1): `\(rule.text)` — \(rule.instead)")
                }
            }
        }
    }

    @Test func `unchecked sendability comes with its proof`() throws {
        for file in try Repository.files(in: "Sources", ending: ".swift") {
            for (index, line) in file.lines.enumerated() where line.contains("@unchecked Sendable") {
                let above = file.lines[max(0, index - 8)..<index].joined(separator: "\n")
                #expect(above.contains("Sendable"), "\(file.path):\(index + 1): say above why this is safe to share")
            }
        }
    }

    @Test func `files stay short enough to read`() throws {
        for folder in ["Sources", "Tests"] {
            for file in try Repository.files(in: folder, ending: ".swift") where file.lines.count > Self.linesPerFile {
                Issue.record("\(file.path) has \(file.lines.count) lines, more than \(Self.linesPerFile)")
            }
        }
    }

    @Test func `functions fit a screen`() throws {
        for file in try Repository.files(in: "Sources", ending: ".swift") {
            for function in functions(in: file) where function.length > Self.linesPerFunction {
                Issue.record(
                    "\(file.path):\(function.line): \(function.length) lines, more than \(Self.linesPerFunction)"
                )
            }
        }
    }

    /// Functions by their indentation: `swift format` guarantees that a body's closing brace stands under its `func`.
    private func functions(in file: Repository.File) -> [(line: Int, length: Int)] {
        var found: [(Int, Int)] = []
        let lines = file.lines
        for (index, line) in lines.enumerated() {
            let trimmed = line.drop { $0 == " " }
            guard trimmed.contains("func "), !trimmed.hasPrefix("//") else { continue }
            let indentation = String(repeating: " ", count: line.count - trimmed.count)
            // A signature over several lines ends on one that starts with its closing parenthesis.
            let signatureEnd =
                trimmed.hasSuffix("(")
                ? lines[(index + 1)...].first { $0.hasPrefix(indentation + ")") } ?? "" : line
            guard signatureEnd.hasSuffix("{"),
                let end = lines[(index + 1)...].firstIndex(where: { $0 == indentation + "}" })
            else { continue }
            found.append((index + 1, end - index))
        }
        return found
    }

    /// What a target may import beside Swift's own modules; the manifest enforces it, this says why it must stay so.
    @Test(arguments: [
        ("TocsinJSON", Set<String>()),
        ("TocsinCore", Set(["TocsinJSON"])),
        ("TocsinSimulation", Set(["TocsinCore"])),
        ("TocsinLedger", Set(["TocsinCore", "TocsinJSON"])),
    ])
    func `the pure layers import nothing of the outside`(target: String, allowed: Set<String>) throws {
        for file in try Repository.files(in: "Sources/\(target)", ending: ".swift") {
            for line in file.lines where line.hasPrefix("import ") {
                let module = String(line.dropFirst("import ".count))
                #expect(allowed.contains(module), "\(file.path) imports \(module)")
            }
        }
    }

    @Test(arguments: [
        ("GRDB", ["Sources/TocsinLedgerSQLite/"]),
        ("Hummingbird", ["Sources/TocsinServer/", "Sources/TocsinLab/"]),
        ("Yams", ["Sources/TocsinFleet/"]),
        ("NIOSSL", ["Sources/TocsinDelivery/"]),
    ])
    func `a library is known to one layer`(module: String, folders: [String]) throws {
        for file in try Repository.files(in: "Sources", ending: ".swift") {
            for line in file.lines where line == "import \(module)" {
                #expect(folders.contains { file.path.hasPrefix($0) }, "\(file.path) imports \(module)")
            }
        }
    }
}

import ArgumentParser
import TocsinJSON
import TocsinSimulation

/// `tocsin simulate`: lives that no real site should have to live.
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the arming machine through everything that can happen.",
        subcommands: [Explore.self]
    )
}

/// `tocsin simulate explore`: visits every reachable state of small sites and checks every rule at every transition.
struct Explore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explore every reachable state of small sites, and check every rule.",
        discussion: """
            Two partitions, a common area and four zones at a time, breadth first. A rule that is broken is told with \
            the shortest inputs that lead there: exit status 1. Use a release build.
            """
    )

    /// With it all configurations together take a few minutes in a release build on two cores.
    private static let defaultBound = 20_000

    @Option(help: ArgumentHelp("Only this configuration (see --list).", valueName: "name"))
    var configuration: String?
    @Option(help: ArgumentHelp("Visit at most that many states of each.", valueName: "n"))
    var bound = Explore.defaultBound
    @Flag(help: "Print the configurations and what each shows.") var list = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        if bound < 1 { throw ValidationError("--bound must be at least 1") }
        if let configuration, !SimulatedSite.all.contains(where: { $0.name == configuration }) {
            let names = SimulatedSite.all.map(\.name).joined(separator: ", ")
            throw ValidationError("there is no configuration “\(configuration)”; choose one of \(names)")
        }
    }

    func run() async throws {
        if list { return printList() }
        let sites = SimulatedSite.all.filter { configuration == nil || $0.name == configuration }
        let findings = await explored(sites)
        var coverage = Coverage()
        for finding in findings { coverage.add(finding.result.coverage) }
        if json {
            Console.print(Self.json(findings, coverage))
        } else {
            Console.print(Self.text(findings, coverage))
        }
        if findings.contains(where: { $0.result.violation != nil }) { throw ProgramError.failed("a rule is broken") }
    }

    private func printList() {
        if json {
            return Console.print(
                .array(SimulatedSite.all.map { ["name": .string($0.name), "summary": .string($0.summary)] })
            )
        }
        var table = TextTable(["configuration", "shows"])
        for site in SimulatedSite.all { table.add([site.name, site.summary]) }
        Console.print(table.text)
    }

    /// What came of one configuration.
    private struct Finding: Sendable {
        var result: Exploration
        var time: Duration
    }

    /// Explores the sites beside each other, and tells of each as soon as it is done.
    private func explored(_ sites: [SimulatedSite]) async -> [Finding] {
        await withTaskGroup(of: (Int, Finding).self) { tasks in
            for (index, site) in sites.enumerated() {
                tasks.addTask { [bound] in
                    let start = ContinuousClock.now
                    let result = Explorer(site, bound: bound).run()
                    return (index, Finding(result: result, time: ContinuousClock.now - start))
                }
            }
            var findings: [Int: Finding] = [:]
            for await (index, finding) in tasks {
                findings[index] = finding
                Console.note("\(finding.result.site.name): \(finding.result.states) states, \(finding.time.seconds) s")
            }
            return findings.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    // MARK: Output

    private static func text(_ findings: [Finding], _ coverage: Coverage) -> String {
        var table = TextTable(["configuration", "states", "transitions", "depth", "all visited", "seconds"])
        for finding in findings {
            let result = finding.result
            table.add([
                result.site.name, String(result.states), String(result.transitions), String(result.depth),
                result.isBounded || result.violation != nil ? "no" : "yes", finding.time.seconds,
            ])
        }
        var text = table.text + "\n\nrows taken:\n" + coverage.text
        if !coverage.missing.isEmpty { text += "\nnot taken: \(coverage.missing.joined(separator: ", "))" }
        for finding in findings {
            guard let violation = finding.result.violation else { continue }
            text += "\n\nVIOLATION in \(finding.result.site.name): \(violation)\n"
            text += finding.result.path.map { "  \($0)" }.joined(separator: "\n")
        }
        return text
    }

    private static func json(_ findings: [Finding], _ coverage: Coverage) -> JSON {
        let configurations = findings.map { finding -> JSON in
            let result = finding.result
            var object: JSONObject = [
                "name": .string(result.site.name), "states": JSON(result.states),
                "transitions": JSON(result.transitions), "depth": JSON(result.depth),
                "complete": .bool(!result.isBounded && result.violation == nil),
                "milliseconds": JSON(finding.time.wholeMilliseconds),
            ]
            if let violation = result.violation {
                object["violation"] = [
                    "rule": .string(violation.id), "message": .string(violation.description),
                    "path": JSON(result.path),
                ]
            }
            return .object(object)
        }
        var rows: JSONObject = [:]
        for row in Coverage.rows { rows[row] = JSON(coverage.counts[row] ?? 0) }
        return ["configurations": .array(configurations), "rows": .object(rows), "missing": JSON(coverage.missing)]
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int {
        Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }

    fileprivate var seconds: String { "\(wholeMilliseconds / 1000).\(wholeMilliseconds % 1000 / 100)" }
}

import TocsinCore

/// Visits every state that a simulated site can reach, breadth first, and checks every transition on the way.
package struct Explorer: Sendable {
    package let site: SimulatedSite
    /// How many states are visited at most.
    package var bound: Int
    /// What distorts every transition; none for the machine as it is.
    package var fault: SeededFault?
    /// Every how many transitions the costly checks run: playing again from the stored form (I20).
    package var repetition = 1

    package init(_ site: SimulatedSite, bound: Int, fault: SeededFault? = nil) {
        self.site = site
        self.bound = bound
        self.fault = fault
    }

    /// Explores until a rule is broken, the bound is reached, or nothing is left.
    package func run() -> Exploration {
        var search = Search(site)
        var result = Exploration(site: site)
        while !search.frontier.isEmpty, result.violation == nil, !result.isBounded {
            for node in search.takeFrontier() {
                expand(node, &search, &result)
                if result.violation != nil { break }
            }
            if !result.isBounded { result.depth += 1 }
        }
        result.states = search.visited.count
        return result
    }

    private func expand(_ node: Search.Node, _ search: inout Search, _ result: inout Exploration) {
        for (index, input) in site.inputs.enumerated() where site.isWorthwhile(input, in: node.state) {
            guard var step = Transition(input, on: node.state, at: node.now, in: site.configuration) else { continue }
            fault?.distort(&step)
            result.transitions += 1
            result.coverage.add(step)
            if let violation = violation(of: step, count: result.transitions) {
                result.violation = violation
                result.path = search.path(to: node, then: index, in: site, fault: fault)
                return
            }
            if search.visited.count >= bound {
                result.isBounded = true
                continue
            }
            if search.visit(step, from: node, by: index) {
                guard let violation = Self.storedBadly(step) else { continue }
                result.violation = violation
                result.path = search.path(to: node, then: index, in: site, fault: fault)
                return
            }
        }
    }

    private func violation(of step: Transition, count: Int) -> Violation? {
        for check in Check.all where check.id != "I20" || count % repetition == 0 {
            if let complaint = check.complaint(step) { return Violation(check: check, complaint: complaint) }
        }
        return nil
    }

    /// I15: a state that is read back equal has the same future, because the machine knows nothing else.
    private static func storedBadly(_ step: Transition) -> Violation? {
        let check = Check("I15", "a restart at any point changes nothing") { step in
            do {
                let read = try SiteState(snapshot: step.after.snapshot)
                return read == step.after ? nil : "the stored state is read back differently"
            } catch {
                return "the stored state cannot be read: \(error)"
            }
        }
        return check.complaint(step).map { Violation(check: check, complaint: $0) }
    }
}

/// What an exploration found.
package struct Exploration: Sendable {
    package let site: SimulatedSite
    package var states = 0
    package var transitions = 0
    /// Every path of this many inputs was followed.
    package var depth = 0
    /// The bound was reached before everything was visited.
    package var isBounded = false
    package var coverage = Coverage()
    package var violation: Violation?
    /// The shortest inputs that lead to the violation, one line each.
    package var path: [String] = []

    init(site: SimulatedSite) { self.site = site }
}

/// The states that were met, and how.
private struct Search {
    struct Node {
        var state: SiteState
        var now: Instant
        /// Its place in `arrivals`.
        var index: Int
    }

    /// How a state was met first: from which one, by which input.
    struct Arrival {
        var parent: Int32
        var input: Int16
    }

    private(set) var visited: Set<Int> = []
    private(set) var frontier: [Node] = []
    private var arrivals: [Arrival] = []

    init(_ site: SimulatedSite) {
        let state = SiteMachine(configuration: site.configuration, state: SiteState()).state
        visited.insert(state.key(at: SimulatedSite.start, in: site.configuration))
        arrivals.append(Arrival(parent: -1, input: -1))
        frontier.append(Node(state: state, now: SimulatedSite.start, index: 0))
    }

    mutating func takeFrontier() -> [Node] {
        defer { frontier = [] }
        return frontier
    }

    /// Remembers the state after a step; whether it is a new one.
    mutating func visit(_ step: Transition, from node: Node, by input: Int) -> Bool {
        guard visited.insert(step.after.key(at: step.at, in: step.site)).inserted else { return false }
        frontier.append(Node(state: step.after, now: step.at, index: arrivals.count))
        arrivals.append(Arrival(parent: Int32(node.index), input: Int16(input)))
        return true
    }

    /// The inputs that led to a node, and one more, with what came of each.
    func path(to node: Node, then last: Int, in site: SimulatedSite, fault: SeededFault?) -> [String] {
        var inputs = [last]
        var index = node.index
        while arrivals[index].parent >= 0 {
            inputs.append(Int(arrivals[index].input))
            index = Int(arrivals[index].parent)
        }
        var lines: [String] = []
        var state = SiteMachine(configuration: site.configuration, state: SiteState()).state
        var now = SimulatedSite.start
        for input in inputs.reversed() {
            guard var step = Transition(site.inputs[input], on: state, at: now, in: site.configuration) else { break }
            fault?.distort(&step)
            (state, now) = (step.after, step.at)
            lines.append(step.line)
        }
        return lines
    }
}

extension Transition {
    /// The input and what came of it, on one line.
    package var line: String {
        let seconds = (at - SimulatedSite.start).milliseconds / 1000
        let told = site.partitions.map { partition in
            let state = after(partition)
            var words = "\(partition.number) \(state.phase.wireState)"
            if let exit = state.exit {
                words += " until +\((exit.deadline - SimulatedSite.start).milliseconds / 1000) s"
            }
            if let entry = state.countdown {
                words += " until +\((entry.deadline - SimulatedSite.start).milliseconds / 1000) s"
            }
            if !state.incidents.isEmpty {
                words += " [\(state.incidents.map(\.alarmClass.rawValue).joined(separator: ", "))]"
            }
            return words
        }
        return "+\(seconds) s  \(input)\(answerWords) → \(told.joined(separator: "; "))"
    }

    private var answerWords: String {
        switch answer {
        case .none: ""
        case .command(let outcome):
            switch outcome.answer {
            case .success(let reply): reply.isUnchanged ? " (was so already)" : ""
            case .failure(let refusal): " (refused: \(refusal.code))"
            }
        case .signal(let answer): answer.outcome == .accepted ? "" : " (\(answer.outcome.rawValue))"
        case .report(.success): ""
        case .report(.failure): " (refused)"
        }
    }
}

extension CommandRefusal {
    fileprivate var code: String {
        switch self {
        case .unknownPartition: "unknown partition"
        case .versionConflict: "version_conflict"
        case .invalidCode: "invalid_user_code"
        case .codeLocked: "user_code_locked"
        case .armFailed(let reasons): reasons.map(\.code).joined(separator: ", ")
        case .notPermitted(let reasons): reasons.map(\.code).joined(separator: ", ")
        case .impossible: "invalid_transition"
        case .partnerUnreachable: "partner_unreachable"
        }
    }
}

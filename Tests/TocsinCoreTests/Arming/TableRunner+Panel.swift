import TocsinCore

// Commands, signals and devices: the inputs of a site that Tocsin guards.

extension CaseRunner {
    /// Plays a command, a signal or a device's word; none if the verb is none of them.
    func playPanel(
        _ verb: String,
        _ step: Table.Step,
        on machine: inout SiteMachine
    ) throws -> [Table.Phrase]? {
        let input = step.input
        switch verb {
        case "arm", "disarm", "skip_exit", "quick_exit", "silence":
            var input = input
            let isStale = remove("stale", from: &input.words)
            return told(
                machine.command(try command(verb, input), isStale: isStale, receivedAt: step.at),
                machine
            )
        case "zone":
            try allow(["at", "id"], in: input)
            let signal = try signal(
                Array(input.words.dropFirst()),
                at: input.fact("at").map { try time($0, input.line) } ?? step.at,
                id: input.fact("id"),
                input.line
            )
            let outcome = machine.signals([signal], known: [], receivedAt: step.at)
            // That a signal was taken goes without saying.
            let answers = outcome.answers.map(phrase).filter { $0.words != ["accepted"] }
            return orNothing(phrases(outcome.deadlineEffects) + answers + phrases(outcome.effects))
        case "signals":
            try allow(["known"], in: input)
            let signals = try input.words.dropFirst().map { try batched($0, step) }
            let known = Set((input.fact("known") ?? "").split(separator: ",").map(String.init))
            let outcome = machine.signals(signals, known: known, receivedAt: step.at)
            return phrases(outcome.deadlineEffects) + outcome.answers.map(phrase) + phrases(outcome.effects)
        case "offline", "online":
            guard input.words.count == 2 else { throw table.mistake(input.line, "which device? \(verb) dev_1") }
            let device = DeviceID(stored: input.words[1])
            return orNothing(phrases(machine.device(device, isOffline: verb == "offline", at: step.at)))
        case "resolved":
            guard input.words.count == 2, let id = Int64(input.words[1]) else {
                throw table.mistake(input.line, "which alarm? resolved 1")
            }
            machine.incidentResolved(IncidentID(id))
            return orNothing([])
        default: return nil
        }
    }

    // MARK: Commands

    private func command(_ verb: String, _ input: Table.Phrase) throws -> ArmingCommand {
        try allow(["code", "partition", "bypass", "via", "from", "by"], in: input)
        var words = Array(input.words.dropFirst())
        let isTrusted = remove("trusted", from: &words)
        let action = try action(verb, input, &words)
        if let word = words.first { throw table.mistake(input.line, "\"\(word)\" means nothing here") }
        guard let source = Source(rawValue: input.fact("via") ?? "keypad") else {
            throw table.mistake(input.line, "the source after via= is unknown")
        }
        let asker = input.fact("from") ?? source.rawValue
        return ArmingCommand(
            action: action,
            target: input.fact("partition") == nil ? .all : try target(input),
            authority: isTrusted
                ? .trusted : .code(hash: try input.fact("code").map { try code($0, input) }, source: asker),
            by: Attribution(userID: input.fact("by"), source: source)
        )
    }

    private func action(_ verb: String, _ input: Table.Phrase, _ words: inout [String]) throws -> ArmingCommand.Action {
        switch verb {
        case "disarm": return .disarm
        case "skip_exit": return .skipExit
        case "quick_exit": return .quickExit
        case "silence": return .silence
        default:
            guard let mode = words.first else { throw table.mistake(input.line, "how? arm away") }
            words.removeFirst()
            return .arm(
                ArmingCommand.ArmRequest(
                    mode: ArmingMode(wireName: mode),
                    bypassZones: try (input.fact("bypass") ?? "").split(separator: ",").map {
                        try number(String($0), input.line)
                    },
                    force: remove("force_arm", from: &words),
                    instant: remove("instant_arm", from: &words),
                    noEntryDelay: remove("no_entry_delay", from: &words)
                )
            )
        }
    }

    private func remove(_ word: String, from words: inout [String]) -> Bool {
        guard let index = words.firstIndex(of: word) else { return false }
        words.remove(at: index)
        return true
    }

    /// Digits are a code as it was typed; `ann` is Ann's code, `ann/duress` her duress code.
    private func code(_ text: String, _ input: Table.Phrase) throws -> String {
        if text.allSatisfy(\.isNumber) { return text }
        let parts = text.split(separator: "/")
        let user = configuration.users.first { $0.name == parts[0] }
        guard let code = parts.count == 1 ? user?.codeHash : user?.duressCodeHash else {
            throw table.mistake(input.line, "nobody has the code \(text)")
        }
        return code
    }

    private func told(_ outcome: CommandOutcome, _ machine: SiteMachine) -> [Table.Phrase] {
        let answers: [Table.Phrase] =
            switch outcome.answer {
            case .success(let reply): reply.partitions.map { phrase($0, reply.isUnchanged, machine) }
            case .failure(let refusal): [phrase(refusal)]
            }
        return phrases(outcome.deadlineEffects) + answers + phrases(outcome.effects)
    }

    private func phrase(_ id: PartitionID, _ isUnchanged: Bool, _ machine: SiteMachine) -> Table.Phrase {
        let state = machine.state.partitions[id]
        return Table.Phrase(
            line: 0,
            words: prefix(id) + [state?.phase.wireState ?? "unknown"] + (isUnchanged ? ["unchanged"] : []),
            facts: [
                ("mode", state?.phase.mode?.wireName ?? "-"),
                ("deadline", (state?.exit?.deadline ?? state?.countdown?.deadline)?.tableText ?? "-"),
                ("version", state.map { String($0.version) } ?? "-"),
            ]
        )
    }

    private func phrase(_ refusal: CommandRefusal) -> Table.Phrase {
        switch refusal {
        case .unknownPartition: Table.Phrase(line: 0, words: ["404"])
        case .versionConflict: Table.Phrase(line: 0, words: ["412"])
        case .invalidCode: Table.Phrase(line: 0, words: ["403", "invalid_user_code"])
        case .codeLocked(let until):
            Table.Phrase(line: 0, words: ["429", "user_code_locked"], facts: [("until", until.tableText)])
        case .armFailed(let reasons): phrase(["409", "arm_failed"], reasons)
        case .notPermitted(let reasons): phrase(["403", "permission_denied"], reasons)
        case .impossible(let message):
            Table.Phrase(line: 0, words: ["409", "invalid_transition"], facts: [("message", message)])
        case .partnerUnreachable: Table.Phrase(line: 0, words: ["504", "partner_unreachable"])
        }
    }

    /// The first reason's sentences are `message` and `remedy`; those of the others have numbers, from `message.2` on.
    private func phrase(_ words: [String], _ reasons: [ArmFailureReason]) -> Table.Phrase {
        var facts: [(name: String, value: String)] = []
        for (index, reason) in reasons.enumerated() {
            let place = index == 0 ? "" : ".\(index + 1)"
            facts += [("message\(place)", reason.message), ("remedy\(place)", reason.remedy)]
        }
        return Table.Phrase(line: 0, words: words + reasons.map(\.tableText), facts: facts)
    }

    // MARK: Signals

    /// An element of a batch, written `5 open 09:59:58 s1`: zone or device, what, when, and its own id.
    private func batched(_ text: String, _ step: Table.Step) throws -> Signal {
        let parts = text.split(separator: " ").map(String.init)
        return try signal(
            Array(parts.prefix(2)),
            at: parts.count > 2 ? try time(parts[2], step.input.line) : step.at,
            id: parts.count > 3 ? parts[3] : nil,
            step.input.line
        )
    }

    private func signal(_ words: [String], at timestamp: Instant, id: String?, _ line: Int) throws -> Signal {
        guard words.count == 2, let kind = Signal.Kind(rawValue: words[1]) else {
            throw table.mistake(line, "a signal is written: zone 5 open")
        }
        let origin: Signal.Origin =
            if let number = Int(words[0]) { .number(number) } else { .device(DeviceID(stored: words[0])) }
        return Signal(origin: origin, kind: kind, timestamp: timestamp, signalID: id)
    }

    private func time(_ text: String, _ line: Int) throws -> Instant {
        guard let time = Table.instant(text) else { throw table.mistake(line, "the time \(text) cannot be read") }
        return time
    }

    private func phrase(_ answer: SignalAnswer) -> Table.Phrase {
        Table.Phrase(line: 0, words: [answer.outcome.rawValue] + (answer.reason.map { [$0] } ?? []))
    }
}

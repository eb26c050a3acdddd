import TocsinCore
import TocsinJSON

// What followed from an input, in the words of a table.

extension CaseRunner {
    /// The clauses that tell of effects; what belongs together on the wire is told together.
    func phrases(_ effects: [ArmingEffect]) -> [Table.Phrase] {
        var phrases: [Table.Phrase] = []
        var draft: AlarmDraft?
        var lowered: [(name: String, value: String)] = []
        for effect in effects {
            switch effect {
            case .change(let change):
                // The history's words stand with the event that tells the world of the same change.
                guard let last = phrases.indices.last else { continue }
                phrases[last].facts += [
                    ("cause", change.cause), ("explanation", change.explanation), ("who", change.by.words),
                ]
            case .alarmPriority(_, let priority): lowered = [("priority", priority.rawValue)]
            case .alarm(let alarm):
                if isBrief { draft = alarm } else { phrases.append(phrase(alarm)) }
            case .event(let partition, let body):
                phrases.append(phrase(body, partition, draft))
                phrases[phrases.count - 1].facts += lowered
                (draft, lowered) = (nil, [])
            case .alarmAct: continue
            case .mark(let mark): phrases.append(Table.Phrase(line: 0, words: ["scorecard", mark.rawValue]))
            case .note(let partition, let action, let explanation):
                phrases.append(
                    Table.Phrase(
                        line: 0,
                        words: prefix(partition) + ["audit", action],
                        facts: [("explanation", explanation)]
                    )
                )
            case .notice(let draft):
                phrases.append(
                    Table.Phrase(
                        line: 0,
                        words: prefix(draft.partitionID) + ["notice", draft.kind.rawValue],
                        facts: [("subject", draft.subject), ("text", draft.text)]
                    )
                )
            case .relay(let effect):
                phrases.append(
                    Table.Phrase(
                        line: 0,
                        words: prefix(effect.partitionID) + effect.action.split(separator: ".").map(String.init),
                        facts: [("relay", effect.relayID.text), ("explanation", effect.explanation)]
                    )
                )
            }
        }
        return phrases
    }

    private func phrase(_ alarm: AlarmDraft) -> Table.Phrase {
        Table.Phrase(
            line: 0,
            words: prefix(alarm.partitionID) + ["alarm", alarm.alarmClass.rawValue],
            facts: [
                ("priority", alarm.priority.rawValue), ("trigger", alarm.trigger), ("location", alarm.location ?? "-"),
            ]
        )
    }

    private func phrase(_ body: EventBody, _ partition: PartitionID?, _ alarm: AlarmDraft?) -> Table.Phrase {
        var words = prefix(partition) + [body.type.rawValue]
        if case .armingStateChanged(let change) = body { words += [change.previousState, "→", change.newState] }
        if let alarm { words.append(alarm.alarmClass.rawValue) }
        return Table.Phrase(line: 0, words: words, facts: body.wireFacts)
    }

    /// The state of a partition as `GET …/arming` tells it, and what only the machine knows of its deadlines.
    func look(_ partition: Partition, _ machine: SiteMachine) -> Table.Phrase? {
        guard let state = machine.state.partitions[partition.id] else { return nil }
        func time(_ instant: Instant?) -> String { instant?.tableText ?? "-" }
        var facts = [
            ("mode", state.phase.mode?.wireName ?? "-"), ("since", state.since.tableText),
            ("by", state.by?.triggeredBy ?? "-"), ("version", String(state.version)),
            ("alarm_at", time(state.countdown?.deadline)), ("overdue_at", time(state.overdueAt)),
            ("in_alarm", state.inAlarm ? "yes" : "no"), ("alarm_memory", state.alarmMemory ? "yes" : "no"),
            ("armed_at", time(state.exit?.deadline)), ("bypassed", bypassed(state)),
            ("next", time(state.nextDeadline)),
        ]
        for readiness in machine.readiness(of: partition) {
            let reasons = readiness.reasons.map(\.tableText).joined(separator: ",")
            facts.append(("ready_\(readiness.mode.wireName)", reasons.isEmpty ? "yes" : reasons))
        }
        return Table.Phrase(line: 0, words: prefix(partition.id) + [state.phase.wireState], facts: facts)
    }

    private func bypassed(_ state: PartitionState) -> String {
        let numbers = state.bypassed.compactMap { id, reason in
            configuration.zone(id).map { (number: $0.number, reason: reason) }
        }
        let words = numbers.sorted { $0.number < $1.number }.map { "\($0.number):\($0.reason.rawValue)" }
        return words.isEmpty ? "-" : words.joined(separator: ",")
    }
}

extension ArmFailureReason {
    /// As the tables write it: `zone_open(5)`, or without a zone `alarm_active`.
    var tableText: String { zoneNumber.map { "\(code)(\($0))" } ?? code }
}

extension EventBody {
    /// The members of the event as a receiver reads them, nested ones as `reasons.1.zone_name`.
    ///
    /// Alarms are numbered as the site's incidents, so that a table can tell them apart.
    fileprivate var wireFacts: [(name: String, value: String)] {
        let incidents = (1...99).map { IncidentID(Int64($0)) }
        let place = EventPlace(
            id: EventID(stored: "evt_1"),
            sequence: 1,
            createdAt: Instant(secondsSinceEpoch: 0),
            incidentAlarms: Dictionary(uniqueKeysWithValues: incidents.map { ($0, AlarmNumber($0.value)) })
        )
        guard let json = try? JSONParser.parse(encoded(at: place)) else { return [("body", "unreadable")] }
        return facts(of: json["data"] ?? json, "")
    }

    private func facts(of json: JSON, _ path: String) -> [(name: String, value: String)] {
        switch json {
        case .object(let object):
            object.members.flatMap { facts(of: $0.value, path.isEmpty ? $0.name : "\(path).\($0.name)") }
        case .array(let elements): elements.enumerated().flatMap { facts(of: $0.element, "\(path).\($0.offset + 1)") }
        case .string(let text): [(path, (try? Instant(rfc3339: text))?.tableText ?? text)]
        case .integer, .decimal, .bool, .null: [(path, json.text)]
        }
    }
}

extension Instant {
    /// The time of day, with milliseconds where there are any.
    var tableText: String {
        let isWhole = secondsSinceEpoch * 1000 == millisecondsSinceEpoch
        return String((isWhole ? rfc3339Seconds : rfc3339Milliseconds).dropFirst("2026-05-26T".count).dropLast())
    }
}

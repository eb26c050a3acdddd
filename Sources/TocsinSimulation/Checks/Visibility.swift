import TocsinCore

// I15–I22: what is stored, told and seen (design, arming: invariants).

extension Check {
    static let visibility: [Check] = [
        Check("I17", "duress is observationally equal on the local channels") { step in
            step.duressShows ?? step.duressShowsLater
        },
        Check("I18", "a common area is armed exactly while all of its partitions are") { step in
            step.each { area, _, after in
                let dependents = step.dependents(of: area)
                if dependents.isEmpty || !step.isPlatform { return nil }
                let all = dependents.allSatisfy { step.after($0).phase.guardingMode != nil }
                if all != (after.phase.guardingMode != nil) {
                    return all ? "is not armed with them" : "is armed without them"
                }
                return after.exit == nil ? nil : "counts an exit delay of its own"
            }
        },
        Check("I19", "a partner's applied timestamps never decrease") { step in
            step.each { _, before, after in
                guard let old = before.order, let new = after.order, new.timestamp < old.timestamp else { return nil }
                if old.wasAhead, old.floor.map({ new.timestamp >= $0 }) ?? true { return nil }
                return "a report of \(new.timestamp.clock) was applied after one of \(old.timestamp.clock)"
            }
        },
        Check("I20", "the same input gives the same state and effects, byte for byte") { step in
            // Read back from its stored form, so that a dictionary's own order would show.
            guard let state = try? SiteState(snapshot: step.before.snapshot),
                let again = Transition(step.input, on: state, at: step.now, in: step.site)
            else { return "the state before cannot be read back" }
            if again.after != step.after || again.after.snapshot != step.after.snapshot {
                return "the state came out differently"
            }
            return again.effects == step.effects ? nil : "the effects came out differently"
        },
        Check("I21", "folding the events gives the state") { step in
            step.each { partition, before, after in
                var folded = before.phase.wireState
                var changes: Int64 = 0
                for case .armingStateChanged(let change) in step.events(of: partition) {
                    if change.previousState != folded {
                        return "an event leaves \(change.previousState), the state was \(folded)"
                    }
                    folded = change.newState
                    changes += 1
                }
                if folded != after.phase.wireState {
                    return "the events end in \(folded), the state in \(after.phase.wireState)"
                }
                if after.version < before.version + changes { return "\(changes) changes did not all count" }
                if before.looks != after.looks, after.version == before.version, step.isPlatform {
                    return "what is shown changed and the version did not"
                }
                return step.foldsAlarms(partition, before, after)
            }
        },
        Check("I22", "every change has an actor, a source, a cause and an explanation") { step in
            if let outcome = step.outcome, outcome.explanation.isEmpty { return "the command has no explanation" }
            for (index, effect) in step.effects.enumerated() {
                switch effect {
                case .event(let partition, .armingStateChanged(let event)):
                    guard index + 1 < step.effects.count, case .change(let change) = step.effects[index + 1] else {
                        return "\(event.newState) has no entry in the history"
                    }
                    if change.partitionID != partition || change.state != event.newState
                        || change.previousState != event.previousState || change.by.source != event.source
                    {
                        return "the history tells something else than the event of \(event.newState)"
                    }
                    if change.explanation.isEmpty || change.cause.isEmpty || change.by.words.isEmpty {
                        return "\(event.newState) is not explained"
                    }
                case .note(_, let action, let explanation):
                    if action.isEmpty || explanation.isEmpty { return "a note explains nothing" }
                case .relay(let effect):
                    if effect.action.isEmpty || effect.explanation.isEmpty {
                        return "a relay's switching is not explained"
                    }
                case .change, .alarmPriority, .alarmAct, .event, .alarm, .mark, .notice: continue
                }
            }
            return nil
        },
    ]
}

// MARK: - I21

extension PartitionState {
    /// What `GET …/arming` shows of a partition whose change must have another version.
    fileprivate var looks: [String] {
        [phase.wireState, phase.mode?.wireName ?? "", inAlarm ? "in alarm" : ""]
    }
}

extension Transition {
    fileprivate func foldsAlarms(_ partition: Partition, _ before: PartitionState, _ after: PartitionState) -> String? {
        let drafts = effects.compactMap { effect -> IncidentID? in
            if case .alarm(let draft) = effect, draft.partitionID == partition.id { draft.incident } else { nil }
        }
        let created = events(of: partition).count { if case .alarmCreated = $0 { true } else { false } }
        if drafts.count != created || Set(drafts).count != drafts.count {
            return "\(drafts.count) alarms and \(created) alarm.created"
        }
        let known = Set(before.incidents.filter { $0.reportedAt != nil }.map(\.id))
        if let twice = drafts.first(where: known.contains) { return "incident \(twice.value) was reported again" }
        for incident in after.incidents where !known.contains(incident.id) {
            let isTold = drafts.contains(incident.id) || joins(incident.id)
            if isTold != (incident.reportedAt != nil) { return "incident \(incident.id.value) and its alarm disagree" }
        }
        return nil
    }
}

extension Transition {
    /// Whether it is told that something became a part of an alarm that was raised by request.
    func joins(_ incident: IncidentID) -> Bool {
        before.raised.contains { $0.incident == incident }
            && effects.contains {
                if case .event(_, .alarmActivity(let activity)) = $0 {
                    activity.alarm == .incident(incident)
                } else {
                    false
                }
            }
    }
}

// MARK: - I17

extension Transition {
    /// What somebody beside the person could see that the ordinary code would not have shown.
    fileprivate var duressShows: String? {
        guard let holder, holder.isDuress, var twin = command else { return nil }
        twin.credential = holder.user.codeHash.map(CommandInput.Credential.code) ?? .missing
        guard let ordinary = Transition(.command(twin), on: before, at: at, in: site) else { return nil }
        return difference(from: ordinary)
    }

    /// A duress alarm that is open must not change what follows.
    fileprivate var duressShowsLater: String? {
        switch input {
        case .resolve(.duress), .raise(.duress, _): return nil
        case .command, .signal, .device, .report, .resolve, .raise, .answer, .advance: break
        }
        guard before.hasDuress else { return nil }
        guard let ordinary = Transition(input, on: before.strippedOfDuress, at: now, in: site) else {
            if case .advance = input { return nil }
            return "without the duress alarm this could not happen"
        }
        return difference(from: ordinary)
    }

    private func difference(from ordinary: Transition) -> String? {
        switch (outcome?.answer, ordinary.outcome?.answer) {
        case (let mine?, let other?) where mine != other: return "the answer is \(mine), not \(other)"
        default: break
        }
        if let mine = outcome, let other = ordinary.outcome,
            mine.explanation != other.explanation || mine.by != other.by
        {
            return "it is explained differently"
        }
        let (mine, other) = (effects.filter(\.isLocal), ordinary.effects.filter(\.isLocal))
        if mine != other { return "it tells \(mine), not \(other)" }
        return after.withoutDuress == ordinary.after.withoutDuress ? nil : "the partitions are left differently"
    }
}

extension SiteState {
    fileprivate var hasDuress: Bool {
        raised.contains { $0.alarmClass == .duress }
            || partitions.values.contains { $0.incidents.contains { $0.alarmClass == .duress } }
    }

    fileprivate var strippedOfDuress: SiteState {
        var state = self
        for id in state.partitions.keys { state.partitions[id]?.incidents.removeAll { $0.alarmClass == .duress } }
        state.raised.removeAll { $0.alarmClass == .duress }
        return state
    }

    /// The state as the premises see it: no duress alarm, and incidents without their numbers.
    fileprivate var withoutDuress: SiteState {
        var state = strippedOfDuress
        state.nextIncident = 1
        // What is between the operators: an alarm that seems aborted is theirs to verify.
        state.raised = []
        state.verifications = [:]
        for id in state.partitions.keys {
            guard var incidents = state.partitions[id]?.incidents, !incidents.isEmpty else { continue }
            for index in incidents.indices { incidents[index].id = IncidentID(0) }
            state.partitions[id]?.incidents = incidents
        }
        return state
    }
}

extension ArmingEffect {
    /// Whether the premises hear of it: alarms are told to those entitled only.
    fileprivate var isLocal: Bool {
        switch self {
        // A rule that holds for silent alarms too betrays them by the relay itself: somebody wanted it so.
        case .alarm, .alarmPriority, .alarmAct, .relay: false
        case .event(_, .alarmCreated), .event(_, .alarmActivity), .event(_, .alarmAnnotated): false
        case .note(_, let action, _): !["alarm.created", "alarm.silent", "alarm.duress"].contains(action)
        case .change, .event, .mark, .notice: true
        }
    }
}

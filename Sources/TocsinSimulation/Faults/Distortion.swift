import TocsinCore

// The means by which faults distort a transition.

extension Transition {
    /// Changes the state of a partition after the input.
    mutating func edit(_ partition: Partition, _ change: (inout PartitionState) -> Void) {
        var state = after(partition)
        change(&state)
        after.partitions[partition.id] = state
    }

    /// Changes every partition, knowing the transition as it was.
    mutating func editEach(_ change: (Transition, Partition, PartitionState, inout PartitionState) -> Void) {
        let step = self
        for partition in site.partitions {
            edit(partition) { change(step, partition, step.before(partition), &$0) }
        }
    }

    /// Puts a partition into another phase, with the events and the history of it: a fault that hides well.
    mutating func restate(_ partition: Partition, _ phase: Phase) {
        let (previous, version) = (before(partition).phase, before(partition).version)
        edit(partition) {
            $0.phase = phase
            if $0.version == version { $0.version += 1 }
        }
        effects.removeAll { effect in
            switch effect {
            case .event(partition.id, .armingStateChanged): true
            case .change(let change): change.partitionID == partition.id
            case .event, .alarmPriority, .alarmAct, .alarm, .mark, .note, .notice, .relay: false
            }
        }
        if previous.wireState == phase.wireState { return }
        let by = Attribution(source: .system)
        effects.append(
            .event(
                partition: partition.id,
                .armingStateChanged(
                    ArmingStateChanged(
                        siteID: site.site.id,
                        partitionID: partition.id,
                        newState: phase.wireState,
                        previousState: previous.wireState,
                        timestamp: at,
                        triggeredBy: by.triggeredBy,
                        source: by.source
                    )
                )
            )
        )
        effects.append(
            .change(
                PartitionChange(
                    partitionID: partition.id,
                    at: at,
                    state: phase.wireState,
                    previousState: previous.wireState,
                    by: by,
                    cause: "command",
                    explanation: "distorted"
                )
            )
        )
    }

    /// The partition is as it was before the input.
    mutating func undo(_ partition: Partition) {
        after.partitions[partition.id] = before(partition)
        effects.removeAll { effect in
            switch effect {
            case .event(let id, _), .note(let id, _, _): id == partition.id
            case .change(let change): change.partitionID == partition.id
            case .alarm(let draft): draft.partitionID == partition.id
            case .alarmPriority, .alarmAct, .mark, .notice, .relay: false
            }
        }
    }

    /// The refused command is answered as if it had been carried out.
    mutating func accept() {
        guard case .command(var outcome) = answer else { return }
        outcome.answer = .success(CommandReply(partitions: targets.map(\.id), isUnchanged: false, pending: nil))
        answer = .command(outcome)
    }

    /// The reasons of a refused arming.
    var reasons: Set<String> {
        if case .armFailed(let reasons)? = refusal { Set(reasons.map(\.code)) } else { [] }
    }

    /// Drops alarms and their events.
    mutating func hushAlarms() {
        effects.removeAll {
            switch $0 {
            case .alarm, .event(_, .alarmCreated): true
            case .event, .alarmPriority, .alarmAct, .change, .mark, .note, .notice, .relay: false
            }
        }
    }
}

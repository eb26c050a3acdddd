import TocsinCore
import TocsinEngine
import TocsinLedger

/// What tasks ask of the loop.
extension DeliveryLoop {
    mutating func rowsWereAdded(to id: EndpointID, _ hastened: Set<EventPosition>) {
        guard let index = indexOfEndpoint[id], let slot = slots[index] else { return }
        // A machine that is made anew has read the retry table before or after: it is told when it is there.
        if slot.awaitsRebuild || scheduler[slot.index] == nil { slot.hasMissedRows = true }
        tell(index, at: now) { $0.rowsWereAdded(hastened: hastened, at: $1) }
    }

    /// Records a delivery that is to be tried at once, where no machine can take it up: the next one finds the row.
    mutating func leaveForNextMachine(_ event: LoggedEvent, _ attempts: Int, of slot: Slot) {
        recording.pending.exceptions.append(
            ExceptionalDelivery(
                endpointID: slot.endpoint.id,
                position: event.position,
                eventID: event.id,
                state: .retrying,
                attempts: attempts,
                nextAttemptAt: now,
                eventCreatedAt: event.createdAt,
                updatedAt: now
            )
        )
        slot.hasMissedRows = true
    }

    mutating func tellMissedRows(_ slot: Slot) {
        guard slot.hasMissedRows else { return }
        slot.hasMissedRows = false
        tell(slot.index, at: now) { $0.rowsWereAdded(hastened: [], at: $1) }
    }

    mutating func taskWasCancelled(_ task: DeliveryTaskID, of id: EndpointID) {
        guard let index = indexOfEndpoint[id] else { return }
        tell(index, at: now) { $0.taskWasCancelled(task, at: $1) }
    }

    mutating func waitForQuiet(_ id: EndpointID, _ signal: WakeSignal) {
        guard let index = indexOfEndpoint[id], let slot = slots[index] else { return signal.signal() }
        slot.quietWaiters.append(signal)
        signalIfQuiet(slot)
    }

    /// Nothing is in flight: whoever waits for that hears of it when all is recorded.
    mutating func signalIfQuiet(_ slot: Slot) {
        guard !slot.quietWaiters.isEmpty, scheduler[slot.index]?.isIdle ?? true else { return }
        for signal in slot.quietWaiters { afterRecording(.signal(signal)) }
        slot.quietWaiters = []
    }
}

import TocsinCore
import TocsinEngine

/// What tasks ask of the engine.
extension DeliveryEngine {
    /// Takes up a task that was just stored.
    package func taskBegun(_ task: DeliveryTask) async {
        // With order its endpoint pauses, before anything else is sent.
        if task.phase == .starting { await endpointChanged(task.endpointID) }
        outside.tasks.begin(task.id)
    }

    /// Lets go of a task that was just cancelled in the ledger: nothing that it has put in the way is begun any more.
    package func taskEnded(_ task: DeliveryTask) async {
        taskCancelled(task.id, of: task.endpointID)
        await endpointChanged(task.endpointID)
    }

    /// Learns that rows of a task are in the retry table, due now.
    ///
    /// - Parameters:
    ///   - id: The endpoint that they are for.
    ///   - hastened: Those among them that were there before, due later.
    func rowsAdded(to id: EndpointID, hastened: Set<EventPosition>) {
        outside.post(.rowsAdded(id, hastened: hastened))
    }

    /// Learns that a task was cancelled: what it has put in the way is not begun any more.
    func taskCancelled(_ task: DeliveryTaskID, of id: EndpointID) { outside.post(.taskCancelled(task, of: id)) }

    /// Returns when nothing is in flight to the endpoint and all is recorded, or when the caller is cancelled.
    ///
    /// The endpoint must be kept from beginning anything new, else this may take forever.
    func quiet(_ id: EndpointID) async {
        let signal = WakeSignal()
        guard outside.post(.whenQuiet(id, signal)) else { return }
        await signal.wait()
    }
}

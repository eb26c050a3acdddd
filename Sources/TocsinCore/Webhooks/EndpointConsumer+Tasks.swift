/// How tasks (replay, resend what failed) reach a machine: through rows of the retry table.
extension EndpointConsumer {
    /// After so many cancelled tasks an attempt that the first of them began has ended long ago.
    static let cancelledTasksMaximum = 16

    /// Learns that rows were put into the retry table from outside, due now.
    ///
    /// - Parameters:
    ///   - hastened: Those among them that were there before, due later, and may be held.
    ///   - now: The present time.
    /// - Returns: What to do.
    package mutating func rowsWereAdded(hastened: Set<EventPosition>, at now: Instant) -> [Action] {
        rowsBeyond = rowsBeyond.map { min($0, now) } ?? now
        // A load that is under way may have read before they were there.
        if let loading { self.loading?.evictedDue = loading.evictedDue.map { min($0, now) } ?? now }
        loading?.touched.formUnion(hastened)
        if !hastened.isEmpty {
            for var held in takeRetries(where: { hastened.contains($0.event.position) && $0.due > now }) {
                held.due = now
                insertRetry(held)
            }
        }
        return goOn(now)
    }

    /// Gives up what a cancelled task has put in the way; the ledger says so already, and what is in flight ends.
    package mutating func taskWasCancelled(_ id: DeliveryTaskID, at now: Instant) -> [Action] {
        cancelledTasks.append(id)
        if cancelledTasks.count > Self.cancelledTasksMaximum { cancelledTasks.removeFirst() }
        let tasks = cancelledTasks
        for held in takeRetries(where: { $0.task.map { tasks.contains($0.id) } ?? false }) {
            // What was on its way without the task goes on.
            if let end = cancelledEnd(of: held) { settle(held, end, now) } else { insertRetry(held) }
        }
        return goOn(now)
    }

    private mutating func takeRetries(where isMeant: (Held) -> Bool) -> [Held] {
        DeliveryClass.allCases.flatMap { retries[$0].removeAll(where: isMeant) }
    }

    /// What a delivery comes to that went with a task which was cancelled; none for all others.
    func cancelledEnd(of held: Held) -> DeliveryState? {
        guard let task = held.task, cancelledTasks.contains(task.id) else { return nil }
        return task.whenCancelled
    }
}

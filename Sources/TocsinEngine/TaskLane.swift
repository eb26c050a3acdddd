/// Which of the tasks that are ready gets a thread first.
///
/// The executor has a queue for each priority, and threads for each queue. A thousand deliveries that wait for one of two
/// cores stand in the ordinary queue; what is in the other waits for the system's scheduler alone, a millisecond or two
/// instead of a hundred. So the few loops that everything goes through are there, and alarms.
///
/// A child task has its parent's priority, whatever it was given: only a task of its own changes lanes.
package enum TaskLane {
    package static let express = TaskPriority.high

    /// Runs `body`, and all children that it begins, in the express lane.
    package static func express<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let task = Task(priority: express, operation: body)
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}

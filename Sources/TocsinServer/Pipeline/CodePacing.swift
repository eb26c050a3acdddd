/// Holds back replies so that their time does not tell which code was typed (design, arming: people).
///
/// Checking a code is one probe into a table, but what follows differs: a duress code opens an incident, a wrong one
/// only counts. All of it takes a few milliseconds, most of which are the durable write. Replies therefore leave on a
/// grid of time that is counted from when the request was read: whoever measures sees which step of the grid it was, and
/// that is the same for duress, normal and wrong codes.
package struct CodePacing: Sendable {
    /// One step of the grid: several times what a command takes with its durable write on ordinary disks, so that all
    /// of them leave on the first step; and short enough that nobody at a keypad notices.
    package static let step: Duration = .milliseconds(50)

    private let startedAt: ContinuousClock.Instant

    /// Counts from now; to be made as soon as the request has been read.
    package init() { startedAt = .now }

    /// The first step of the grid that is not before `elapsed`.
    static func release(after elapsed: Duration) -> Duration {
        let (seconds, attoseconds) = elapsed.components
        let (stepSeconds, stepAttoseconds) = step.components
        let width = stepSeconds * 1_000_000_000 + stepAttoseconds / 1_000_000_000
        let passed = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        let steps = max(1, (passed + width - 1) / width)
        return .nanoseconds(steps * width)
    }

    /// Does the work, and returns or throws what it came to when the grid's next step has come.
    func paced<Result>(_ work: () async throws -> Result) async throws -> Result {
        do {
            let result = try await work()
            try await wait()
            return result
        } catch {
            // A task that is cancelled has nobody left to be answered.
            try await wait()
            throw error
        }
    }

    private func wait() async throws {
        let release = startedAt + Self.release(after: startedAt.duration(to: .now))
        try await Task.sleep(until: release, tolerance: .zero, clock: .continuous)
    }
}

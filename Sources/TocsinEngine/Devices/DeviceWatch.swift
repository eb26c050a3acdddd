import Logging
import ServiceLifecycle
import TocsinCore
import TocsinLedger

/// Has silences and returns of devices decided by their sites (decisions §7); sleeps in between, polls nothing.
package final class DeviceWatch: Service {
    /// Looking through a million devices takes about a millisecond; this often at most, whatever falls due.
    static let scanInterval: Duration = .milliseconds(250)
    /// Sites that are asked at once: as many as share a commit.
    ///
    /// Where a hundred thousand devices fall silent together, memory stays bounded, and returns are decided in between.
    static let turnsAtOnce = 1_000
    /// How soon is tried again what the ledger could not take.
    static let retryAfterFailure: Duration = .seconds(1)

    private let registry: DeviceRegistry
    private let engine: SiteEngine
    private let clock: any WallClock
    private let logger: Logger

    /// Between two looks.
    private struct Progress {
        var lastScan: Instant?
        /// Returns could not be decided; they wait until then.
        var returnsHeldUntil: Instant?
    }

    package init(registry: DeviceRegistry, engine: SiteEngine, clock: any WallClock, logger: Logger) {
        self.registry = registry
        self.engine = engine
        self.clock = clock
        self.logger = logger
    }

    /// Reads the devices, then watches them until graceful shutdown.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await self.load()
            var progress = Progress()
            while !Task.isCancelled {
                await self.settleReturns(&progress)
                await self.settleSilences(&progress)
                await self.registry.watchSignal.wait(until: self.nextLook(progress), clock: self.clock)
            }
        }
    }

    private func load() async {
        while !Task.isCancelled {
            do {
                return try await registry.load()
            } catch {
                logger.error("the devices could not be read; tried again", metadata: ["ledger.error": "\(error)"])
                try? await clock.sleep(until: clock.now + Self.retryAfterFailure)
            }
        }
    }

    private func nextLook(_ progress: Progress) -> Instant? {
        let silence = registry.nextDue.map { due in progress.lastScan.map { max(due, $0 + Self.scanInterval) } ?? due }
        let returns = registry.hasReturned ? progress.returnsHeldUntil ?? clock.now : nil
        return [silence, returns].compactMap(\.self).min()
    }

    // MARK: Silence

    private func settleSilences(_ progress: inout Progress) async {
        let now = clock.now
        guard let due = nextLook(Progress(lastScan: progress.lastScan)), due <= now else { return }
        progress.lastScan = now
        let overdue = registry.overdue(at: now)
        for start in stride(from: 0, to: overdue.count, by: Self.turnsAtOnce) {
            if Task.isCancelled { return }
            let slots = overdue[start..<min(start + Self.turnsAtOnce, overdue.count)]
            await decide(registry.beginSilence(of: slots, at: now), at: now)
            await settleReturns(&progress)
        }
        registry.recordGauges()
    }

    private func decide(_ turns: [DeviceTable.Turn], at now: Instant) async {
        await forEachSite(turns, \.site) { site, turns in
            let task = DeviceSilence(
                siteID: site,
                receivedAt: now,
                devices: turns.map(\.device),
                registry: self.registry
            )
            do throws(LedgerError) {
                let result = try await self.engine.ask(task)
                self.registry.settle(turns) { turn in
                    if case .answered(let verdicts) = result { verdicts[turn.device] ?? .gone } else { .gone }
                }
            } catch {
                let retryAt = self.clock.now + Self.retryAfterFailure
                self.registry.settle(turns) { _ in .failed(retryAt: retryAt) }
            }
        }
    }

    // MARK: Return

    private func settleReturns(_ progress: inout Progress) async {
        while !Task.isCancelled {
            let now = clock.now
            if let held = progress.returnsHeldUntil, held > now { return }
            progress.returnsHeldUntil = nil
            let returned = registry.takeReturned(atMost: Self.turnsAtOnce)
            if returned.isEmpty { return }
            let failures = await forEachSite(returned, \.turn.site) { site, returned in
                let task = DeviceReturn(
                    siteID: site,
                    receivedAt: now,
                    devices: returned.map { ($0.turn.device, $0.seenAt) }
                )
                let turns = returned.map(\.turn)
                do throws(LedgerError) {
                    let result = try await self.engine.ask(task)
                    self.registry.settle(turns) { _ in if case .answered = result { .online } else { .gone } }
                    return false
                } catch {
                    self.registry.settle(turns) { _ in .failed(retryAt: now) }
                    return true
                }
            }
            registry.recordGauges()
            if failures.contains(true) { progress.returnsHeldUntil = now + Self.retryAfterFailure }
        }
    }

    /// Calls `body` once for each site, all at the same time, in the order in which the sites come first.
    @discardableResult
    private func forEachSite<Item: Sendable, Result: Sendable>(
        _ items: [Item],
        _ site: (Item) -> SiteID,
        _ body: @escaping @Sendable (SiteID, [Item]) async -> Result
    ) async -> [Result] {
        var bySite: [SiteID: [Item]] = [:]
        var order: [SiteID] = []
        for item in items {
            let id = site(item)
            if bySite[id] == nil { order.append(id) }
            bySite[id, default: []].append(item)
        }
        return await withTaskGroup(of: Result.self) { group in
            for id in order {
                let items = bySite[id] ?? []
                group.addTask { await body(id, items) }
            }
            var results: [Result] = []
            for await result in group { results.append(result) }
            return results
        }
    }
}

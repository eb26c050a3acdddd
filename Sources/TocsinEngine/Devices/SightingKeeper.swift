import Logging
import ServiceLifecycle
import TocsinCore
import TocsinLedger

/// Keeps when devices were last seen, so that a crash forgets ten seconds at most (decisions §7).
///
/// Sightings of neighbouring devices are one row; what has changed is written every five seconds, in transactions that
/// share their commits with everything else. Where nobody is seen nothing is written.
package final class SightingKeeper: Service {
    /// Half of what a crash may forget; the other half is for the writing itself.
    package static let interval: Duration = .seconds(5)
    /// Blocks of one transaction: half a megabyte, which delays nobody's commit.
    static let blocksPerWrite = 64

    private let registry: DeviceRegistry
    private let ledger: any Ledger
    private let clock: any WallClock
    private let logger: Logger

    package init(registry: DeviceRegistry, ledger: any Ledger, clock: any WallClock, logger: Logger) {
        self.registry = registry
        self.ledger = ledger
        self.clock = clock
        self.logger = logger
    }

    /// Runs until graceful shutdown, and then keeps what is left.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                if !self.registry.hasUnwritten { await self.registry.keepSignal.wait() }
                try? await self.clock.sleep(until: self.clock.now + Self.interval)
                // Where it was not cancelled: what is left then is kept below.
                if !Task.isCancelled { await self.keep() }
            }
        }
        await keep()
    }

    private func keep() async {
        while true {
            let blocks = registry.takeUnwritten(atMost: Self.blocksPerWrite)
            if blocks.isEmpty { break }
            do {
                try await ledger.write { try $0.store(blocks) }
            } catch {
                registry.putBack(blocks)
                logger.error("sightings could not be kept; tried again", metadata: ["ledger.error": "\(error)"])
                break
            }
        }
        registry.kept()
        registry.recordGauges()
    }
}

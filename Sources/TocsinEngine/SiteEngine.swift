import Logging
import Metrics
import ServiceLifecycle
import Synchronization
import TocsinCore
import TocsinLedger

/// Hears of events as soon as they are durable.
package protocol EventSink: Sendable {
    /// Called after the commit, in log order per dealer; must return at once.
    func published(_ events: [LoggedEvent])
}

/// Decides every command on a site, one site at a time, and commits many sites' decisions together.
///
/// Commands gather in an inbox while a durable write is under way; the next write takes them all. So a busy minute
/// costs hardly more writes than a quiet one, and commands of one site have a total order.
package final class SiteEngine: Service {
    /// More waiting commands than any closing time brings; beyond it callers are told to come back (503).
    package static let inboxCapacity = 200_000
    /// Sites decided together at most: enough to share a durable write, few enough to bound the wait behind it.
    package static let sitesPerCommit = 1_024
    /// As many at least, if there are so many: each time has its own price.
    package static let sitesPerCommitAtLeast = 64
    /// One that is written, and others that are encoded or wait for it, which the ledger writes together.
    package static let commitsUnderWay = 5
    /// Sites in these: one commit of the largest size that is written, one that waits, and one that is decided meanwhile.
    package static let sitesUnderWay = 3 * sitesPerCommit
    /// A commit that loses this often to other writers has met something else than bad luck.
    package static let attemptsMaximum = 20
    /// Changed sites that are looked at after one change; a dealer's holidays change all of its sites, and those beyond
    /// are looked at when they are next due, or at the next change.
    package static let sitesPerReconfiguration = 50_000
    /// A site takes about 1 KiB in memory.
    package static let cachedSites = 400_000

    private static let failuresToldEvery: Duration = .seconds(1)

    private let ledger: any Ledger
    private let clock: any WallClock
    private let tools: DecisionTools
    private let desk: PartnerDesk
    private let sinks: [any EventSink]
    /// Hears which devices have sent signals.
    private let devices: DeviceRegistry?
    private let relays: (any RelayCommandSink)?
    private let inbox = Inbox<SiteCommand>(capacity: SiteEngine.inboxCapacity)
    /// Rung when a commit is done, and for what must not wait for that: an alarm, and enough commands for another commit.
    private let bell = WakeSignal()
    private let logger: Logger
    /// Bounds what refusals of one caller add to the audit log, whoever refuses.
    package var refusals: RefusalLimiter { tools.refusals }
    /// Zones of local time, each read once.
    package let timeZones: TimeZones
    /// When failed commands were told last, and how many failed since.
    private let failures = Mutex<(toldAt: Instant?, untold: Int)>((nil, 0))
    private let reportToApplied = Timer(label: "tocsin_report_to_applied_seconds")
    private let batchSize = Recorder(label: "tocsin_commit_batch_sites")
    /// Wakes sites whose countdowns and watchdogs run out.
    package let deadlines: DeadlineTimer
    /// Requests on their way here, which later ones of their sites wait for.
    package let arrivals: Arrivals

    package init(
        ledger: any Ledger,
        clock: any WallClock,
        randomness: any Randomness,
        vault: Vault,
        timeZones: TimeZones = TimeZones(),
        partners: (any PartnerCommander)? = nil,
        devices: DeviceRegistry? = nil,
        relays: (any RelayCommandSink)? = nil,
        sinks: [any EventSink],
        logger: Logger
    ) {
        self.ledger = ledger
        self.clock = clock
        self.timeZones = timeZones
        desk = PartnerDesk(commander: partners)
        tools = DecisionTools(randomness: randomness, vault: vault, timeZones: timeZones, desk: desk)
        self.sinks = sinks
        self.devices = devices
        self.relays = relays
        self.logger = logger
        let inbox = inbox
        let deadlines = DeadlineTimer(ledger: ledger, clock: clock, logger: logger) { sites, now, isDue in
            inbox.put(
                contentsOf: sites.map { SiteCommand(siteID: $0, receivedAt: now, kind: isDue ? .deadline : .upcoming) }
            )
        }
        self.deadlines = deadlines
        arrivals = Arrivals(clock: clock) { deadlines.schedule($0, at: $1 - DeadlineTimer.settleTime) }
    }

    /// Decides and commits a report; returns when its outcome is durable.
    ///
    /// - Throws: ``LedgerError`` when nothing was committed; the caller may send the same report again.
    package func report(_ command: ReportCommand) async throws(LedgerError) -> ReportResult {
        let result = await withCheckedContinuation { waiter in
            report(command) { waiter.resume(returning: $0) }
        }
        return try result.get()
    }

    /// The same for a caller that does not wait: its outcome is told when it is durable, or when nothing was committed.
    package func report(_ command: ReportCommand, then answer: @escaping ReportAnswer) {
        put(SiteCommand(siteID: command.siteID, receivedAt: command.receivedAt, kind: .report(command, answer)))
    }

    /// Decides and commits a command on a platform-triggered site; returns when its outcome is durable.
    ///
    /// - Throws: ``LedgerError`` when nothing was committed; the caller may send the same command again.
    package func command(_ panel: PanelCommand) async throws(LedgerError) -> PanelResult {
        let (site, receivedAt) = (panel.request.siteID, panel.request.receivedAt)
        let result = await withCheckedContinuation { reply in
            put(SiteCommand(siteID: site, receivedAt: receivedAt, kind: .panel(panel, reply)))
        }
        return try result.get()
    }

    /// Judges and commits what a site's zones report; returns when it is durable.
    ///
    /// - Throws: ``LedgerError`` when nothing was committed; the caller may send the same signals again.
    package func signals(_ batch: SignalBatch) async throws(LedgerError) -> SignalResult {
        let (site, receivedAt) = (batch.request.siteID, batch.request.receivedAt)
        let result = await withCheckedContinuation { reply in
            put(SiteCommand(siteID: site, receivedAt: receivedAt, kind: .signals(batch, reply)))
        }
        return try result.get()
    }

    /// Postpones or leaves out a schedule's next run; returns when that is durable.
    ///
    /// - Throws: ``LedgerError`` when nothing was committed; the caller may send the same command again.
    package func schedule(_ command: ScheduleCommand) async throws(LedgerError) -> ScheduleResult {
        let (site, receivedAt) = (command.request.siteID, command.request.receivedAt)
        let result = await withCheckedContinuation { reply in
            put(SiteCommand(siteID: site, receivedAt: receivedAt, kind: .schedule(command, reply)))
        }
        return try result.get()
    }

    /// Decides and commits a task; returns when its outcome is durable.
    ///
    /// - Throws: ``LedgerError`` when nothing was committed; the task may be asked again.
    package func ask<Task: SiteTask>(_ task: Task) async throws(LedgerError) -> TaskResult<Task.Answer> {
        let result = await withCheckedContinuation { reply in
            let waiting = AskedTask(task: task, reply: reply)
            put(SiteCommand(siteID: task.siteID, receivedAt: task.receivedAt, kind: .task(waiting)))
        }
        return try result.get()
    }

    /// Looks at every site whose configuration was just changed: schedules and deadlines may be others now.
    ///
    /// What is not looked at, because the server stops, is due when it starts again.
    package func reconfigured() async {
        let now = clock.now
        do {
            let changed = try await ledger.read { reader in
                try reader.pendingDeadlines(after: nil, limit: Self.sitesPerReconfiguration)
                    .prefix { $0.due == .reconfigured }
            }
            for site in changed {
                put(SiteCommand(siteID: site.site, receivedAt: now, kind: .reconfigured))
            }
        } catch {
            logger.error("changed sites could not be read", metadata: ["ledger.error": "\(error)"])
        }
    }

    private func put(_ command: SiteCommand) {
        if !inbox.put(command) { command.fail(with: LedgerError(.unavailable, "the server is stopping or overloaded")) }
        if let arrival = command.arrival { arrivals.reached(arrival) }
        // Reports wait for one another while commits are under way, but no longer than until there are enough of them.
        if command.mayTellAlarm || inbox.count >= Self.sitesPerCommitAtLeast { bell.signal() }
    }

    /// Runs until graceful shutdown or cancellation; what was taken in by then is finished first.
    package func run() async throws {
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await desk.commander?.start()
                try await TaskLane.express { await self.decideAll() }
            } onGracefulShutdown: {
                self.inbox.close()
            }
        } onCancel: {
            inbox.close()
        }
    }

    private func decideAll() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.desk.run(self.answered) }
            var flow = Flow(cache: SiteCache(capacity: Self.cachedSites, Foresight(tools)))
            while let commands = await nextCommands(&flow) { await process(commands, &flow) }
            desk.close()
        }
    }

    private func answered(_ inquiry: PartnerInquiry, _ answer: PartnerAnswer) {
        put(SiteCommand(siteID: inquiry.siteID, receivedAt: clock.now, kind: .partnerAnswered(inquiry.id, answer)))
    }

    /// Decides ahead what a few of the next deadlines will do; false if there is nothing to look at now.
    private func lookAhead(_ cache: inout SiteCache) async -> Bool {
        guard cache.foresight.hasRoom else { return false }
        let upcoming = deadlines.takeUpcoming(limit: Foresight.sitesAtOnce)
        if upcoming.isEmpty { return false }
        let works = upcoming.map { SiteWork(siteID: $0.site, commands: []) }
        do {
            for (record, deadline) in zip(try await load(works, &cache), upcoming) {
                // What is remembered may be newer than what the timer knows.
                guard let record, record.state.nextDeadline == deadline.due else { continue }
                cache.foresight.look(at: record, due: deadline.due)
            }
        } catch {
            // Nothing is lost: they are decided when they are due.
            logger.debug("deadlines could not be decided ahead", metadata: ["ledger.error": "\(error)"])
        }
        return true
    }

    // MARK: Batches

    /// Decisions on their way into the ledger.
    private struct Commit {
        var decided: [DecidedWork]
        /// Encodes beside the engine; done when it stands in the ledger's queue.
        var queued: Task<QueuedCommit, Never>
        /// Set when it is durable, or has failed.
        var isDone: DoneMark
        /// How often this work was decided.
        var attempt: Int
    }

    /// What the engine's one task goes on with.
    private struct Flow {
        var cache: SiteCache
        /// Those under way, the first to be durable first.
        var commits: [Commit] = []
        /// The sites of those: none is in two, so that no decision meets another's state.
        var sites: Set<SiteID> = []
        /// Commands that wait for what was received before them.
        var held: [SiteCommand] = []
        /// Commands that wait until what was decided of their site before is durable.
        var waiting: [SiteCommand] = []
        /// A commit has ended since: some of those may be decided.
        var hasFreed = false

        var canGoOn: Bool { !waiting.isEmpty && (hasFreed || commits.isEmpty) }
    }

    private final class DoneMark: Sendable {
        private let mark = Atomic(false)

        var isSet: Bool { mark.load(ordering: .acquiring) }

        func set() { mark.store(true, ordering: .releasing) }
    }

    /// What has gathered and may be decided, as soon as there is something; none when nothing more can come and all is
    /// done.
    private func nextCommands(_ flow: inout Flow) async -> [SiteCommand]? {
        while true {
            // Whoever waits to hear of what is durable waits longer than whoever has just come.
            while flow.commits.first?.isDone.isSet == true { await finishFirst(&flow) }
            arrivals.beginTurn()
            if let commands = inbox.takeWaiting() { return ready(commands, &flow) }
            if flow.canGoOn { return ready([], &flow) }
            if !flow.commits.isEmpty {
                // Who rings nobody any more, and who is cancelled, waits for the commit alone.
                if inbox.isClosed || Task.isCancelled { await finishFirst(&flow) } else { await bell.wait() }
            } else if inbox.isClosed {
                // What was taken in just before it was closed is still there.
                return await firstCommands(&flow)
            } else if await !lookAhead(&flow.cache) {
                return await firstCommands(&flow)
            }
        }
    }

    private func firstCommands(_ flow: inout Flow) async -> [SiteCommand]? {
        guard let commands = await inbox.next() else {
            // Nobody comes any more who could be waited for.
            defer { flow.held = [] }
            return flow.held.isEmpty ? nil : flow.held
        }
        arrivals.beginTurn()
        return ready(commands + (inbox.takeWaiting() ?? []), &flow)
    }

    /// These and those that have waited, but for what has to wait for something that was received before it.
    private func ready(_ commands: [SiteCommand], _ flow: inout Flow) -> [SiteCommand] {
        var commands = flow.held.isEmpty ? commands : flow.held + commands
        flow.held = arrivals.holdBack(&commands)
        return commands
    }

    private func process(_ commands: [SiteCommand], _ flow: inout Flow) async {
        var works = SiteWork.gathered(flow.waiting.isEmpty ? commands : flow.waiting + commands)
        flow.waiting = []
        flow.hasFreed = false
        // What is not decided yet of a site follows when its last decision is durable.
        if !flow.sites.isEmpty {
            for work in works where flow.sites.contains(work.siteID) { flow.waiting += work.commands }
            if !flow.waiting.isEmpty { works.removeAll { flow.sites.contains($0.siteID) } }
        }
        for index in works.indices {
            guard let rest = works[index].cutBehindVersion() else { continue }
            flow.waiting += rest.commands
            // There may be nothing to commit of what stands before it.
            flow.hasFreed = true
        }
        await process(works, &flow)
    }

    /// Decides each site's work and sets the commits off, as many sites to one as may share it.
    private func process(_ works: [SiteWork], _ flow: inout Flow) async {
        // Few at a time while few wait, so that something is decided, encoded and written at any time.
        let size = min(Self.sitesPerCommit, max(Self.sitesPerCommitAtLeast, works.count / 4))
        for start in stride(from: 0, to: works.count, by: size) {
            let end = min(start + size, works.count)
            while flow.commits.count >= Self.commitsUnderWay || flow.sites.count + end - start > Self.sitesUnderWay {
                await finishFirst(&flow)
            }
            await begin(Array(works[start..<end]), attempt: 1, &flow)
        }
    }

    /// Decides, and sets the commit off behind the one before it, so that events are published in the log's order.
    private func begin(_ works: [SiteWork], attempt: Int, _ flow: inout Flow) async {
        do {
            let (decided, decisions) = try await decide(works, &flow.cache)
            if decided.isEmpty { return }
            let isDone = DoneMark()
            let queued = Task { [ledger, bell, before = flow.commits.last?.queued] in
                // While the commit before is written, so that the ledger's writer need not.
                var decisions = decisions
                for index in decisions.indices { decisions[index].encode() }
                _ = await before?.value
                let queued = ledger.queue(decisions)
                queued.whenDone {
                    isDone.set()
                    bell.signal()
                }
                return queued
            }
            for work in decided { flow.sites.insert(work.work.siteID) }
            flow.commits.append(Commit(decided: decided, queued: queued, isDone: isDone, attempt: attempt))
        } catch {
            fail(works, with: error)
        }
    }

    /// Waits for the first commit and tells its outcomes; what it asks to be decided again is, before anything else of
    /// those sites.
    private func finishFirst(_ flow: inout Flow) async {
        let commit = flow.commits.removeFirst()
        // Nothing is decided until this returns.
        for work in commit.decided { flow.sites.remove(work.work.siteID) }
        flow.hasFreed = true
        let queued = await commit.queued.value
        do throws(LedgerError) {
            let outcomes = try await queued.outcomes()
            batchSize.record(commit.decided.count)
            let again = conclude(commit.decided, outcomes, &flow.cache)
            // To take a thousand decisions apart costs as much as to conclude them: beside the next ones.
            Task { withExtendedLifetime((commit.decided, outcomes)) {} }
            if again.isEmpty { return }
            guard commit.attempt < Self.attemptsMaximum else {
                return fail(again, with: LedgerError(.unavailable, "the site kept changing underneath the command"))
            }
            await begin(again, attempt: commit.attempt + 1, &flow)
        } catch {
            fail(commit.decided.map(\.work), with: error)
        }
    }

    /// Decides every command; what changes nothing is answered at once.
    private func decide(
        _ works: [SiteWork],
        _ cache: inout SiteCache
    ) async throws(LedgerError) -> (decided: [DecidedWork], decisions: [Decision]) {
        let records = try await load(works, &cache)
        let alarms = try await alarms(for: works, of: records)
        let now = clock.now
        let written = WrittenInstant(now)
        var decided: [DecidedWork] = []
        decided.reserveCapacity(works.count)
        var decisions: [Decision] = []
        decisions.reserveCapacity(works.count)
        for (work, record) in zip(works, records) {
            guard let record else {
                cache.foresight.forget(work.siteID)
                for command in work.commands { dismiss(command) }
                continue
            }
            do {
                if let ahead = cache.foresight.take(work, on: record, now: written) {
                    decided.append(ahead)
                    decisions.append(ahead.decision)
                    continue
                }
                let plan = try work.decide(on: record, alarms: alarms[work.siteID] ?? [], at: now, tools: tools)
                if plan.isEmpty {
                    settle(plan.settlements)
                } else {
                    decided.append(DecidedWork(work, plan))
                    decisions.append(plan.decision)
                }
            } catch {
                fail([work], with: LedgerError(.unavailable, error.reason))
            }
        }
        return (decided, decisions)
    }

    /// The record of each work's site, in their order; none for a site that does not exist.
    private func load(
        _ works: [SiteWork],
        _ cache: inout SiteCache
    ) async throws(LedgerError) -> [SiteRecord?] {
        var records: [SiteRecord?] = []
        records.reserveCapacity(works.count)
        var missing: [(place: Int, site: SiteID)] = []
        for work in works {
            if work.mustLoad { cache.forget(work.siteID) }
            let record = cache.find(work.siteID)
            if record == nil { missing.append((records.count, work.siteID)) }
            records.append(record)
        }
        if missing.isEmpty { return records }
        let loaded = try await ledger.load(missing.map(\.site))
        for (place, site) in missing {
            guard let record = loaded[site] else { continue }
            cache.store(record, for: site)
            records[place] = record
        }
        return records
    }

    /// The alarms that the works may touch, as they are now; where there are none nothing is asked.
    private func alarms(
        for works: [SiteWork],
        of records: [SiteRecord?]
    ) async throws(LedgerError) -> [SiteID: [Alarm]] {
        var needs: [SiteID: AlarmNeeds] = [:]
        for (work, record) in zip(works, records) {
            guard let record else { continue }
            let wanted = work.alarms(of: record)
            if !wanted.isEmpty { needs[work.siteID] = wanted }
        }
        if needs.isEmpty { return [:] }
        do {
            return try await ledger.read { [needs] reader in
                var found: [SiteID: [Alarm]] = [:]
                for (site, wanted) in needs { found[site] = try reader.alarms(of: site, wanted) }
                return found
            }
        } catch let error as LedgerError {
            throw error
        } catch {
            throw LedgerError(.unavailable, "the alarms could not be read: \(error)")
        }
    }

    private func conclude(
        _ decided: [DecidedWork],
        _ outcomes: [CommitOutcome],
        _ cache: inout SiteCache
    ) -> [SiteWork] {
        var again: [SiteWork] = []
        var published: [LoggedEvent] = []
        var switchesRelays = false
        published.reserveCapacity(decided.count * 2)
        for index in decided.indices {
            let site = decided[index].work.siteID
            switch outcomes[index] {
            case .committed(let events, _):
                tools.recentSnapshots.committed(decided[index].decision)
                if let record = decided[index].changed {
                    cache.store(record, for: site)
                    if let due = decided[index].newDue { deadlines.schedule(site, at: due) }
                }
                if let devices { decided[index].tell(devices) }
                published += events
                if !decided[index].decision.relayCommands.isEmpty { switchesRelays = true }
            case .conflict:
                cache.forget(site)
                again.append(decided[index].work)
            case .knownReports(let ids):
                var work = decided[index].work
                work.learn(knownReports: ids)
                again.append(work)
            case .knownKey(let record):
                var work = decided[index].work
                work.learn(knownKey: record)
                again.append(work)
            }
        }
        if switchesRelays { relays?.relayCommandsStored() }
        if !published.isEmpty { for sink in sinks { sink.published(published) } }
        for index in decided.indices {
            guard case .committed = outcomes[index] else { continue }
            if !decided[index].settlements.isEmpty { settle(decided[index].settlements) }
            for inquiry in decided[index].inquiries { desk.send(inquiry) }
        }
        return again
    }

    // MARK: Answers

    private func settle(_ settlements: [SiteWork.Settlement]) {
        let now = clock.now
        for settlement in settlements {
            switch settlement {
            case .report(let receivedAt, let answer, let result):
                reportToApplied.recordMilliseconds((now - receivedAt).milliseconds)
                answer(.success(result))
            case .panel(let reply, let result): reply.resume(returning: .success(result))
            case .signals(let reply, let result): reply.resume(returning: .success(result))
            case .schedule(let reply, let result): reply.resume(returning: .success(result))
            case .task(let tell): tell()
            case .waiting(let id, let waiter): desk.wait(waiter, for: id)
            case .decided(let id, let result): desk.release(id)?.reply.resume(returning: .success(result))
            case .closed(let id):
                desk.closed(id)
                // Its command is gone from the site without having been decided: restored from a backup, perhaps.
                desk.release(id)?.reply.resume(returning: .success(.refused(.partnerUnreachable)))
            }
        }
    }

    /// There is no such site, or not any more.
    private func dismiss(_ command: SiteCommand) {
        command.answerUnknownSite()
        if case .partnerAnswered(let id, _) = command.kind {
            desk.closed(id)
            desk.release(id)?.reply.resume(returning: .success(.unknownSite))
        }
    }

    /// Says it once a second: on a full disk every command fails, and the log is on a disk too.
    private func tellFailure(of commands: Int, _ error: LedgerError, at now: Instant) {
        let count = failures.withLock { failures -> Int? in
            failures.untold += commands
            if let told = failures.toldAt, now - told < Self.failuresToldEvery { return nil }
            defer { failures = (now, 0) }
            return failures.untold
        }
        guard let count else { return }
        logger.error(
            "commands failed, nothing was committed",
            metadata: ["ledger.error": "\(error)", "commands": "\(count)"]
        )
    }

    private func fail(_ works: [SiteWork], with error: LedgerError) {
        let now = clock.now
        tellFailure(of: works.reduce(0) { $0 + $1.commands.count }, error, at: now)
        for command in works.flatMap(\.commands) {
            // A deadline is never given up: it is tried again until the ledger takes it.
            switch command.kind {
            case .upcoming: break
            case .deadline, .reconfigured:
                deadlines.schedule(command.siteID, at: now + DeadlineTimer.retryAfterFailure)
            // Where the answer of a partner is lost, its time runs out and decides.
            case .report, .panel, .signals, .schedule, .task, .partnerAnswered: command.fail(with: error)
            }
        }
    }
}

import Synchronization
import TocsinCore
import TocsinLedger

/// What deadlines will do, decided and encoded in the quiet moments before they are due.
///
/// At a closing time thousands of deadlines end in one second, and all of them are known beforehand. What one does is a
/// function of its site's version and of the time; so it is decided ahead, and when the time has come only the moment is
/// put in. Whatever else depends on the moment is not held: each is decided for both ends of the time in which it may be
/// taken, and the one, moved to the other's moment, must be the other. Its events' ids begin with the time at which it is due.
struct Foresight {
    /// How far ahead deadlines are looked at; deciding 100,000 of them takes some ten seconds of one core.
    static let lead: Duration = .seconds(30)
    /// Some 4 KiB each; what finds no room is decided when it is due.
    static let heldMaximum = 100_000
    /// Sites that are decided before a command is looked for again: a millisecond or two of work.
    static let sitesAtOnce = 16
    /// What is taken later than this after its deadline is decided anew.
    static let lateMaximum: Duration = .seconds(4)

    private struct Held {
        var work: DecidedWork
        /// From when on it holds.
        var from: Instant
        /// Until when it holds.
        var until: Instant
    }

    private var held: [SiteID: Held] = [:]
    private let tools: DecisionTools
    /// The same but for its ids: what is decided with these is only compared, and they are never seen by anybody.
    private let comparing: DecisionTools

    /// Takes what the engine decides with.
    init(_ tools: DecisionTools) {
        self.tools = tools
        comparing = DecisionTools(
            randomness: Placeholders(),
            vault: tools.vault,
            timeZones: tools.timeZones,
            desk: tools.desk
        )
    }

    var hasRoom: Bool { held.count < Self.heldMaximum }

    /// Decides what a deadline of the site will do if nothing happens until then, and holds it if it may be.
    mutating func look(at record: SiteRecord, due: Instant) {
        let site = record.configuration.site
        let (from, until) = (due + DeadlineTimer.settleTime, due + Self.lateMaximum)
        // A partner is asked in its turn; alarms have to be loaded with the site.
        guard hasRoom, !record.isReconfigured, record.state.pendingCommands.isEmpty, !tools.desk.asksPartner(of: site),
            record.state.alarmedIncidents.isEmpty,
            var first = decide(record, at: from, tools), let last = decide(record, at: until, comparing),
            first.decision.isMovable(to: last.decision)
        else { return }
        first.decision = first.decision.bare()
        let command = SiteCommand(siteID: site.id, receivedAt: from, kind: .deadline)
        let work = SiteWork(siteID: site.id, commands: [command])
        held[site.id] = Held(work: DecidedWork(work, first), from: from, until: until)
    }

    private func decide(_ record: SiteRecord, at now: Instant, _ tools: DecisionTools) -> Plan? {
        let command = SiteCommand(siteID: record.configuration.site.id, receivedAt: now, kind: .deadline)
        let work = SiteWork(siteID: command.siteID, commands: [command])
        guard var plan = try? work.decide(on: record, at: now, tools: tools), plan.isDecisionAlone else { return nil }
        plan.decision.encode()
        return plan
    }

    /// Hands out what was decided for this work, if it still holds, as of now.
    mutating func take(
        _ work: SiteWork,
        on record: SiteRecord,
        now: WrittenInstant
    ) -> DecidedWork? {
        if held.isEmpty { return nil }
        guard let found = held.removeValue(forKey: work.siteID), let arrival = work.arrivalOfDeadlineAlone,
            found.work.decision.baseVersion == record.version, !record.isReconfigured,
            // A partner that asks to be asked since then changes no site.
            !tools.desk.asksPartner(of: record.configuration.site),
            found.from <= arrival, arrival <= now.instant, now.instant <= found.until
        else { return nil }
        guard let decision = found.work.decision.moved(to: now) else { return nil }
        return DecidedWork(work, found.work, decision)
    }

    /// Forgets a site that is gone.
    mutating func forget(_ site: SiteID) { held[site] = nil }
}

/// Counts: ids that stand in for those that are drawn when the time has come, so that a comparison draws nothing.
private final class Placeholders: Randomness {
    private let count = Atomic<UInt64>(0)

    func next() -> UInt64 {
        // Spread over all bits, so that none of them is in a text by chance; one that is keeps a decision from being held.
        count.wrappingAdd(1, ordering: .relaxed).newValue &* 0x9E37_79B9_7F4A_7C15
    }
}

import TocsinCore
import TocsinLedger

/// What deadlines will do, decided and encoded in the quiet moments before they are due.
///
/// At a closing time thousands of deadlines end in one second, and all of them are known beforehand. What one does is a
/// function of its site's version and of the moment; so it is decided ahead for the moment at which an idle server would
/// decide it, and when the time has come only stored.
struct Foresight {
    /// How far ahead deadlines are looked at; deciding 100,000 of them takes some ten seconds of one core.
    static let lead: Duration = .seconds(30)
    /// Some 4 KiB each; what finds no room is decided when it is due.
    static let heldMaximum = 100_000
    /// Sites that are decided before a command is looked for again: a millisecond or two of work.
    static let sitesAtOnce = 16
    /// What is taken later than this after its moment is decided anew: events say how late they are beyond 5 s.
    static let lateMaximum: Duration = .seconds(4)

    /// By site; each is decided as of its decision's moment.
    private var held: [SiteID: DecidedWork] = [:]
    private let tools: DecisionTools

    init(_ tools: DecisionTools) { self.tools = tools }

    var hasRoom: Bool { held.count < Self.heldMaximum }

    /// Decides what a deadline of the site will do if nothing happens until then, and holds it if it may be.
    mutating func look(at record: SiteRecord, due: Instant) {
        let site = record.configuration.site
        let moment = due + DeadlineTimer.settleTime
        // A partner is asked in its turn; alarms have to be loaded with the site.
        guard hasRoom, !record.isReconfigured, record.state.pendingCommands.isEmpty, !tools.desk.asksPartner(of: site),
            record.state.alarmedIncidents.isEmpty
        else { return }
        let command = SiteCommand(siteID: site.id, receivedAt: moment, kind: .deadline)
        let work = SiteWork(siteID: site.id, commands: [command])
        guard var plan = try? work.decide(on: record, at: moment, tools: tools), plan.isDecisionAlone else { return }
        plan.decision.encode()
        held[site.id] = DecidedWork(work, plan)
    }

    /// Hands out what was decided for this work, if it still holds.
    mutating func take(_ work: SiteWork, on record: SiteRecord, now: Instant) -> DecidedWork? {
        if held.isEmpty { return nil }
        guard let found = held.removeValue(forKey: work.siteID), let arrival = work.arrivalOfDeadlineAlone,
            found.record.version == record.version, !record.isReconfigured
        else { return nil }
        let moment = found.decision.at
        return moment <= arrival && arrival <= now && now <= moment + Self.lateMaximum ? found : nil
    }

    /// Forgets a site that is gone.
    mutating func forget(_ site: SiteID) { held[site] = nil }
}

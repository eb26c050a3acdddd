import TocsinCore
import TocsinJSON
import TocsinLedger

/// The decision of one site in the making.
package struct Plan {
    let record: SiteRecord
    var machine: SiteMachine
    var decision: Decision
    var settlements: [SiteWork.Settlement] = []
    /// Devices that have shown that they live.
    var seenDevices: Set<DeviceID> = []
    /// What partners are asked once the decision is durable.
    private(set) var inquiries: [PartnerInquiry] = []
    /// The alarms that it may touch, and what it does to them.
    var book: AlarmBook
    /// What the signals that are being judged name.
    var namedSnapshots: [(Signal, NamedSnapshot)] = []
    let tools: DecisionTools
    /// The state as the commands find it: the stored one, planned anew where the configuration has changed.
    private var baseline: SiteState

    var desk: PartnerDesk { tools.desk }

    init(record: SiteRecord, alarms: [Alarm] = [], at now: Instant, tools: DecisionTools) {
        self.record = record
        book = AlarmBook(alarms)
        self.tools = tools
        let site = record.configuration.site
        machine = SiteMachine(
            configuration: record.configuration,
            state: record.state,
            // A partner's site runs nothing by its own clock.
            timeZone: site.armingModel == .platformTriggered ? tools.timeZones.rulesOrUTC(for: site.timezone) : .utc,
            asksPartner: tools.desk.asksPartner(of: site)
        )
        // What was sent before a restart is sent again, with all of its time; else its old deadline would fail it.
        for command in record.state.pendingCommands where !tools.desk.hasSent(command.id) {
            machine.sendsCommand(command.id, at: now)
        }
        // Whatever comes first after a change plans anew: once a state is stored, the mark of the change is gone.
        if record.isReconfigured { machine.reconfigured(at: now) }
        baseline = machine.state
        decision = Decision(
            siteID: site.id,
            dealerID: site.dealerID,
            partnerID: site.partnerID,
            baseVersion: record.version,
            newState: nil,
            at: now
        )
    }

    // MARK: Effects

    /// What effects came to: their events, and their changes as the history tells them.
    struct Taken {
        var events: [EventID] = []
        var changes: [ToldChange] = []
    }

    /// Turns effects into what the decision stores.
    ///
    /// - Parameters:
    ///   - effects: In their order.
    ///   - request: What set them off; none for a partner's report and for Tocsin's own deadlines.
    /// - Returns: Events and changes; the caller puts the changes into its audit entry.
    mutating func take(_ effects: [ArmingEffect], for request: Request? = nil) -> Taken {
        var taken = Taken()
        for effect in effects {
            switch effect {
            case .alarm(let draft): _ = open(draft)
            case .mark(let mark): decision.marks.append(mark)
            case .change(let change): taken.changes.append(ToldChange(change, event: taken.events.last))
            case .alarmPriority(let incident, let priority):
                _ = perform(.lower(priority), on: incident, by: request?.actor ?? .system)
            case .alarmAct(let incident, let act): taken.events += self.act(act, on: incident, for: request)
            case .note(let partition, let action, let explanation):
                decision.audit.append(note(partition, action, explanation, request))
            case .relay(let effect): taken.events += take(effect, for: request)
            case .notice(let draft):
                decision.notices.append(IssuedNotice(id: tools.randomness.id(at: decision.at), draft: draft))
            case .event(let partition, let body):
                let events = tell(body, in: partition, for: request)
                // What tells admins of how the work goes is no outcome of it.
                if !body.type.isOperational { taken.events += events }
            }
        }
        return taken
    }

    /// Adds an event to the decision; one without a partition concerns none in particular.
    @discardableResult
    package mutating func emit(_ body: EventBody, in partition: PartitionID?) -> EventID {
        let id = tools.randomness.id(EventNoun.self, at: decision.at)
        decision.events.append(
            EventDraft(id: id, siteID: decision.siteID, partitionID: partition, body: body)
        )
        return id
    }

    /// Takes what Tocsin did itself; each change is an entry of its own.
    mutating func takeOwn(_ effects: [ArmingEffect]) {
        // Change by change, so that an entry stands behind the notes that led to it.
        var start = effects.startIndex
        for index in effects.indices {
            guard case .change(let change) = effects[index] else { continue }
            let taken = take(Array(effects[start...index]))
            start = index + 1
            decision.audit.append(entry(of: change, taken.changes))
        }
        _ = take(Array(effects[start...]))
    }

    mutating func reachDeadlines(by now: Instant) {
        takeOwn(machine.deadlinesReached(by: now))
    }

    /// Carries out a command, or refuses it; deadlines before it were reached already.
    ///
    /// One that came to nothing but the check of its code only looked: else two callers who always name the version before
    /// the present one would keep each other out for ever.
    mutating func command(_ command: ArmingCommand, isStale: Bool, receivedAt: Instant) -> CommandOutcome {
        let wasChanged = isChanged
        let outcome = machine.command(command, isStale: isStale, receivedAt: receivedAt)
        switch outcome.answer {
        case .failure(.versionConflict), .failure(.unknownPartition): if !wasChanged { baseline = machine.state }
        case .success, .failure: break
        }
        return outcome
    }

    /// Hears the code of a refused command; that only looked, too.
    mutating func hear(_ hash: String, for target: PartitionTarget, of request: Request) {
        let wasChanged = isChanged
        let effects = machine.hear(hash, for: target, receivedAt: request.receivedAt)
        if !wasChanged { baseline = machine.state }
        _ = take(effects, for: request)
    }

    /// Plans anew after a change; what was received before a deadline, and is still on its way here, wins over it all the same.
    mutating func reconfigure(at now: Instant) {
        machine.reconfigured(at: now)
        takeOwn(machine.deadlinesReached(by: now - DeadlineTimer.settleTime))
    }

    /// Stores the new state only if there is one: most retries and refusals change nothing but the audit log.
    mutating func finish() {
        for command in machine.state.pendingCommands where !desk.hasSent(command.id) {
            machine.sendsCommand(command.id, at: decision.at)
        }
        for command in machine.state.pendingCommands where !desk.hasSent(command.id) {
            if let inquiry = PartnerInquiry(command, at: record.configuration) { inquiries.append(inquiry) }
        }
        decision.alarms = book.changes
        guard machine.state != record.state || record.isReconfigured else { return }
        if !isChanged { machine.looked() }
        decision.newState = machine.state
    }

    private var isChanged: Bool { !machine.state.looksLike(baseline) }

    /// The version that callers are shown after what was decided so far.
    var shownVersion: Int64 { record.shownVersion + (isChanged ? 1 : 0) }

    /// The site as it is after what was decided so far.
    var recordAfter: SiteRecord {
        record.changed(to: machine.state, version: record.version + (isChanged ? 1 : 0))
    }

    /// Whether there is anything to commit.
    var isEmpty: Bool {
        decision.newState == nil && decision.audit.isEmpty && decision.events.isEmpty && decision.marks.isEmpty
            && decision.alarms.isEmpty
    }

    /// Whether all that it comes to is a new state, with what the log tells of it.
    var isDecisionAlone: Bool {
        decision.newState != nil && settlements.isEmpty && inquiries.isEmpty && seenDevices.isEmpty
            && decision.isStateAlone
    }

    /// Keeps a reply for a repetition of the request, in the transaction of the change (decisions §1).
    mutating func keep(
        _ ticket: IdempotencyTicket?,
        status: Int,
        _ reply: () -> [UInt8]
    ) throws(VaultError) {
        guard let ticket else { return }
        decision.idempotency.append(
            try ticket.record(status: status, reply: reply(), at: decision.at, vault: tools.vault)
        )
    }

    func reply(to command: ReportCommand, _ answers: [PartitionAnswer], events: [EventID]) -> ReportReply {
        ReportReply(
            siteID: command.siteID,
            receivedAt: command.receivedAt,
            partitions: answers,
            eventIDs: events
        )
    }
}

import TocsinCore
import TocsinLedger

/// What is left of a plan when its decision is on its way into the ledger; an object, so that it is not copied on the way.
final class DecidedWork: Sendable {
    let work: SiteWork
    let record: SiteRecord
    let decision: Decision
    let settlements: [SiteWork.Settlement]
    /// What partners are asked once the decision is durable.
    let inquiries: [PartnerInquiry]
    /// When the site must be looked at next, if that has changed.
    let newDue: Instant?
    private let seenDevices: Set<DeviceID>

    init(_ work: SiteWork, _ plan: Plan) {
        self.work = work
        record = plan.record
        decision = plan.decision
        settlements = plan.settlements
        inquiries = plan.inquiries
        seenDevices = plan.seenDevices
        let due = plan.decision.newState?.nextDeadline
        // The mark of a change stands in the ledger where the next deadline would: after a start that is not known.
        let isKnown = due == plan.record.state.nextDeadline && !plan.record.isReconfigured
        newDue = isKnown ? nil : due
    }

    /// The same work at another moment.
    init(_ work: SiteWork, _ other: DecidedWork, _ decision: Decision) {
        self.work = work
        self.decision = decision
        (record, settlements, inquiries) = (other.record, other.settlements, other.inquiries)
        (newDue, seenDevices) = (other.newDue, other.seenDevices)
    }

    /// The site as it is now, if the decision has changed it.
    func record(version: Int64) -> SiteRecord? { decision.newState.map { record.changed(to: $0, version: version) } }

    /// Tells what of the devices is durable now, before anybody else hears of it.
    func tell(_ devices: DeviceRegistry) {
        if !decision.deviceChanges.isEmpty { devices.take(decision.deviceChanges) }
        if !seenDevices.isEmpty { devices.saw(Array(seenDevices), of: decision.siteID, at: decision.at) }
    }
}

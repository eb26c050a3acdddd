import TocsinCore
import TocsinLedger

/// What is left of a plan when its decision is on its way into the ledger; an object, so that it is not copied on the way.
final class DecidedWork: Sendable {
    let work: SiteWork
    /// The site as it is once the decision is durable, if that changes it.
    let changed: SiteRecord?
    let decision: Decision
    let settlements: [SiteWork.Settlement]
    /// What partners are asked once the decision is durable.
    let inquiries: [PartnerInquiry]
    /// When the site must be looked at next, if that has changed.
    let newDue: Instant?
    private let seenDevices: Set<DeviceID>

    init(_ work: SiteWork, _ plan: Plan) {
        self.work = work
        decision = plan.decision
        changed = decision.newState.map { plan.record.changed(to: $0, version: plan.record.version + 1) }
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
        (changed, settlements, inquiries) = (other.changed, other.settlements, other.inquiries)
        (newDue, seenDevices) = (other.newDue, other.seenDevices)
    }

    /// Tells what of the devices is durable now, before anybody else hears of it.
    func tell(_ devices: DeviceRegistry) {
        if !decision.deviceChanges.isEmpty { devices.take(decision.deviceChanges) }
        if !seenDevices.isEmpty { devices.saw(Array(seenDevices), of: decision.siteID, at: decision.at) }
    }
}

import TocsinCore
import TocsinLedger

/// Hears the user code of a command that was refused before the site could check it (I17): a duress code is never lost.
///
/// The caller is answered with the refusal that it would have got anyway, whatever the code.
package struct CodeHearing: SiteTask {
    package let siteID: SiteID
    package let receivedAt: Instant
    package let request: Request?
    private let hash: String
    private let target: PartitionTarget

    /// Takes the code's keyed hash, and where the command was meant for as far as it can be read.
    package init(_ hash: String, for target: PartitionTarget, request: Request) {
        var request = request
        // The refusal is not kept for a repetition.
        request.idempotency = nil
        self.request = request
        self.hash = hash
        self.target = target
        siteID = request.siteID
        receivedAt = request.receivedAt
    }

    package func decide(_ plan: inout Plan) {
        guard let request, plan.record.configuration.site.armingModel == .platformTriggered else { return }
        plan.hear(hash, for: target, of: request)
    }
}

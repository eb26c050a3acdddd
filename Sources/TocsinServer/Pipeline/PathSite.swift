import TocsinCore
import TocsinLedger

/// The site that a request's path is about, by whatever of it the path names.
struct PathSite: Sendable {
    private static let fixtures: [(name: String, kind: FixtureKind)] = [("device_id", .device), ("relay_id", .relay)]

    let bound: BoundOperation
    let values: [String]
    /// Looked up anew when a body is there.
    var caller: Caller
    /// Whose alarm is meant, where the query names a dealer.
    let dealer: DealerID?

    /// The site, if the caller may know of it: an alarm that is hidden from the caller is none, as an unknown one is.
    func site(_ reader: any LedgerReader) throws -> Site? {
        guard let reach = caller.reach else { return nil }
        for (name, value) in zip(bound.parameterNames, values) {
            if name == "site_id" { return try SiteID(value).flatMap { try reader.site($0, within: reach) } }
            if let kind = Self.fixtures.first(where: { $0.name == name })?.kind {
                return try reader.fixture(value, kind: kind, within: reach).flatMap {
                    try reader.site($0.siteID, within: reach)
                }
            }
            if name == "alarm_id" {
                return try alarm(value, within: reach, reader).flatMap {
                    try reader.site($0.siteID, within: reach)
                }
            }
        }
        return nil
    }

    private func alarm(_ text: String, within reach: Reach, _ reader: any LedgerReader) throws -> Alarm? {
        let own: DealerID? = if case .dealer(let dealer) = reach { dealer } else { nil }
        guard let number = AlarmNumber(text: text), let dealer = own ?? dealer,
            let alarm = try reader.alarm(number, of: dealer, within: reach), caller.seesAlarms || !alarm.isSilent
        else { return nil }
        return alarm
    }
}

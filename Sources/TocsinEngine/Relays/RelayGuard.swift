import TocsinCore
import TocsinJSON
import TocsinLedger

/// Judges changes of relays, for whoever makes them: the API and the fleet file.
package enum RelayGuard {
    /// Whether nobody could tell the relay to switch off after the change: a siren would stay on.
    ///
    /// Who was told to switch on must be the one who is told to switch off, of the same device. An order that was tried in
    /// vain holds nothing up: the bridge may have moved.
    ///
    /// - Parameters:
    ///   - before: The relay as it is.
    ///   - after: The relay as it is to be.
    ///   - record: Its site as it is.
    ///   - reader: Knows what the relay was told last.
    /// - Returns: Whether the change must wait until the relay is off.
    /// - Throws: `LedgerError`.
    package static func strands(
        _ before: Fixture,
        changedTo after: Fixture,
        in record: SiteRecord,
        _ reader: any LedgerReader
    ) throws -> Bool {
        func switcher(_ relay: Fixture) -> [JSON?] {
            [relay.settings["actuator"]?["url"], relay.settings["device_id"]]
        }
        guard switcher(before) != switcher(after) else { return false }
        let id = RelayID(stored: before.id)
        if record.state.relays[id] != nil { return true }
        let last = try reader.lastCommand(of: id, within: .platform)
        return last.map { $0.order == .off && $0.state == .waiting && $0.attempts == 0 } ?? false
    }
}

import TocsinCore

package protocol RelayReader {
    /// Commands to relays that wait and are due to be tried by `instant`, earliest first, of all dealers, with the relay as
    /// it is now: for whoever delivers them. A relay has one at most.
    func dueRelayCommands(by instant: Instant, limit: Int) throws -> [DueRelayCommand]
    /// When the next command is due that is due after `instant`.
    func nextRelayCommandDue(after instant: Instant) throws -> Instant?
    /// The last command of a relay, whatever became of it.
    func lastCommand(of relay: RelayID, within reach: Reach) throws -> RelayCommand?
    /// Whether an order to switch the relay off was not delivered yet.
    func awaitsSwitchingOff(_ relay: RelayID) throws -> Bool
    /// The number of the newest alarm of a site's incident.
    func alarmNumber(of incident: IncidentID, at site: SiteID) throws -> AlarmNumber?
}

package protocol RelayWriter {
    /// Records what became of an attempt; a command that is gone takes no record, and one that another has superseded takes
    /// it only if it was delivered.
    func record(_ outcome: RelayCommandOutcome) throws
}

/// A command that is to be delivered, and where to.
package struct DueRelayCommand: Hashable, Sendable {
    package var command: RelayCommand
    /// None if its settings cannot be read.
    package var relay: Relay?

    package init(command: RelayCommand, relay: Relay?) {
        self.command = command
        self.relay = relay
    }
}

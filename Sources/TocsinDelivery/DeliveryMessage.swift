import TocsinCore
import TocsinEngine
import TocsinLedger

typealias Waiter = CheckedContinuation<Void, Never>

/// What the delivery loop is told.
enum DeliveryMessage: Sendable {
    case published([LoggedEvent])
    case logReaches([EventPosition])
    indirect case finished(FinishedAttempt)
    case wake
    /// So many attempts that are not alarms do not wait for this machine any more.
    case left(Int)
    case logRead(slot: Int, EndpointConsumer.LogRead, Result<LogAnswer, any Error>)
    case alarmsSought(slot: Int, EndpointConsumer.AlarmSearch, Result<AlarmAnswer, any Error>)
    /// The ledger has had its rest: another endpoint's alarms may be looked for.
    case seekNext
    case rowsLoaded(slot: Int, Result<RowsAnswer, any Error>)
    case recorded(LedgerError?)
    case recordAgain
    case announced(slot: Int, EndpointAnnouncement)
    case reload(Reload)
    case reloaded(Reload, Result<[(EndpointID, EndpointRecord?)], any Error>)
    case resend(EndpointID, LoggedEvent, attempts: Int, Waiter)
    case flush(Waiter)
    /// A task has put rows into the retry table, due now; some were there before, due later.
    case rowsAdded(EndpointID, hastened: Set<EventPosition>)
    case taskCancelled(DeliveryTaskID, of: EndpointID)
    /// Asks for a signal once nothing of the endpoint is in flight and all is recorded.
    case whenQuiet(EndpointID, WakeSignal)
    case stop
    /// Attempts in flight have had their time.
    case stopNow

    /// Events, or that there are some; in the log's order among themselves.
    var isNews: Bool {
        switch self {
        case .published, .logReaches: true
        case .finished, .wake, .left, .logRead, .alarmsSought, .seekNext, .rowsLoaded, .recorded, .recordAgain,
            .announced, .reload, .reloaded, .resend, .flush, .rowsAdded, .taskCancelled, .whenQuiet, .stop, .stopNow:
            false
        }
    }

    /// Lets go of whoever waits for this message.
    func abandon() {
        switch self {
        case .reload(let reload), .reloaded(let reload, _): reload.continuation?.resume()
        case .resend(_, _, _, let waiter), .flush(let waiter): waiter.resume()
        case .published, .logReaches, .finished, .wake, .left, .logRead, .alarmsSought, .seekNext, .rowsLoaded,
            .recorded, .recordAgain, .announced, .rowsAdded, .taskCancelled, .whenQuiet, .stop, .stopNow:
            break
        }
    }
}

/// The end of an attempt.
struct FinishedAttempt: Sendable {
    var slot: Int
    var flight: Int
    var deliveryClass: DeliveryClass
    var result: AttemptResult
    var row: DeliveryAttempt
    var endedAt: Instant
}

struct LogAnswer: Sendable {
    var events: [LoggedEvent]
    /// The sequences among them that have a row in the retry table.
    var rows: Set<Int64> = []
}

struct AlarmAnswer: Sendable {
    var events: [LoggedEvent]
    var searchedTo: Int64
    /// The sequences among them that have a row in the retry table.
    var rows: Set<Int64> = []
}

struct RowsAnswer: Sendable {
    var rows: [(row: ExceptionalDelivery, event: LoggedEvent?)]
    var isComplete: Bool
}

/// A wish to take over what the ledger now says.
struct Reload: Sendable {
    enum Subject: Sendable {
        case endpoint(EndpointID)
        case app(AppID)
        case partner(PartnerID)
    }

    var subject: Subject
    var continuation: Waiter?
}

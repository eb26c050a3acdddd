import TocsinCore

/// One endpoint: what the ledger holds of it, what has not reached the ledger yet, and what really happened.
struct SimulatedEndpoint {
    /// What became of one event here, known to nobody but the checks.
    struct Fate {
        var isInFlight = false
        var wasSent = false
        var isSettled = false
        var isParked = false
        /// Answers about the event, in all lives.
        var answers = 0
        /// An alarm that was handed over in memory in this life, and not sent.
        var isAlarmToSend = false
        /// An alarm that lay in the backlog when this life began, and was not sent.
        var isAlarmOfBacklog = false
        /// It has come to its end in this life.
        var hasEnded = false
        /// One of those, that nothing ordinary may overtake: there was room to take it.
        var waits = false
    }

    let id: EndpointID
    let tenant: DeliveryTenant
    /// The dealers whose logs it follows, by index.
    let dealers: [Int]
    let receiver: SimulatedReceiver
    var settings: EndpointConsumer.Settings

    // What the ledger holds.
    var rows: [EventPosition: ExceptionalDelivery] = [:]
    var cursors: [Int: Int64] = [:]
    var failingSince: Instant?

    // What is on its way.
    var unrecorded: [ExceptionalDelivery] = []
    var unrecordedStanding: Instant??
    var reads: [EndpointConsumer.LogRead] = []
    var load: Int?
    var asksToSeek = false
    var search: FoundAlarms?

    // What the checks keep.
    var fates: [[Fate]] = [[], []]
    var inFlight = PerKind()
    var breaker = BreakerLaw()
    /// When attempts began, since the rate was last changed or the machine made anew.
    var begun: [Instant] = []
    var alarmsToSend = 0
    var alarmsWaiting = 0
    /// Alarms of the backlog that were not sent, and first attempts of what is none since one of them was.
    var alarmsOfBacklog = 0
    var ordinaryBeforeAlarm = 0
    /// The ledger has not answered: until then it is asked for nothing.
    var pausesUntil: Instant?

    /// An answer of the ledger that is on its way.
    struct FoundAlarms {
        var search: EndpointConsumer.AlarmSearch
        var events: [LoggedEvent]
        var searchedTo: Int64
        var rows: Set<Int64>
    }

    struct PerKind {
        var alarm = 0
        var ordinary = 0
        var all: Int { alarm + ordinary }
    }

    init(_ index: Int, _ random: inout SimulationRandom, dealerIDs: [DealerID]) {
        id = EndpointID(stored: "ep_\(index)")
        let isPartner = random.chance(25)
        let own = random.number(0...1)
        dealers = isPartner ? [0, 1] : [own]
        let owner: EndpointOwner =
            isPartner
            ? .partner(PartnerID(stored: "prt_a")) : .app(AppID(stored: "app_\(index)"), of: dealerIDs[own])
        tenant = DeliveryTenant(owner)
        receiver = SimulatedReceiver(&random)
        settings = EndpointConsumer.Settings(
            subscription: Subscription(
                endpointID: id,
                owner: owner,
                types: [.partitionArmed, .alarmCreated],
                scopes: [.sitesRead, .eventsRead]
            ),
            ordering: random.chance(40) ? .site : .none,
            concurrency: random.pick([1, 2, 4, 8]),
            ratePerSecond: random.chance(20) ? random.pick([1, 3, 20]) : nil,
            schedule: RetrySchedule(ownSteps: random.chance(40) ? [.seconds(5), .seconds(5), .seconds(60)] : nil)
        )
    }

    func row(_ position: EventPosition) -> ExceptionalDelivery? {
        unrecorded.last { $0.position == position } ?? rows[position]
    }
}

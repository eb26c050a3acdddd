/// A rule that arms or disarms a partition by the clock of its site (design, arming: schedules).
package struct Schedule: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case arm(ArmingMode)
        case disarm
        /// Switches a relay on for a while (decisions §7).
        case activate(RelayID, seconds: Int)
    }

    /// What holds on one date instead of the weekly rule; outranks holidays too.
    package struct Exception: Hashable, Sendable {
        package enum Hours: Hashable, Sendable {
            /// The rule does not run on that date.
            case closed
            /// The rule runs on that date, at this time instead of its own.
            case at(TimeOfDay)
        }

        package var date: CivilDate
        package var hours: Hours

        package init(date: CivilDate, hours: Hours) {
            self.date = date
            self.hours = hours
        }
    }

    /// A warning may come up to two hours before the arming, as long as a postponement may take.
    package static let warningMinutesRange = 0...120
    /// People who are to leave want to be told; nobody minds a disarming (design, arming: schedules).
    package static func defaultWarningMinutes(for action: Action) -> Int {
        switch action {
        case .arm: 10
        case .disarm, .activate: 0
        }
    }
    /// More than ten years of public holidays; keeps a rule small enough to search at every step.
    package static let maximumExceptions = 200

    package var id: ScheduleID
    package var name: String
    /// The partition's number; ``noPartition`` for a rule about none.
    package var partition: Int
    /// Stands for no partition: a relay belongs to the site.
    package static let noPartition = 0
    package var action: Action
    package var at: TimeOfDay
    /// The days of the weekly rule; without meaning for a one-off.
    package var days: Set<Weekday>
    /// At most one per date.
    package var exceptions: [Exception]
    /// The date of a one-off; it outranks holidays, because somebody chose it.
    package var on: CivilDate?
    /// Whether the weekly rule rests on the dealer's holidays.
    package var observesHolidays: Bool
    /// Arms even if zones are open, leaving them out, where the zones allow it.
    package var forceArm: Bool
    /// How long before the run people are warned; 0 for not at all.
    package var warningMinutes: Int
    /// The latest time to which a run may be postponed; on the next day if it is earlier than the run.
    package var latest: TimeOfDay?
    package var isEnabled: Bool

    package init(
        id: ScheduleID,
        name: String,
        partition: Int,
        action: Action,
        at: TimeOfDay,
        days: Set<Weekday> = Set(Weekday.allCases),
        exceptions: [Exception] = [],
        on: CivilDate? = nil,
        observesHolidays: Bool = true,
        forceArm: Bool = false,
        warningMinutes: Int? = nil,
        latest: TimeOfDay? = nil,
        isEnabled: Bool = true
    ) {
        self.id = id
        self.name = name
        self.partition = partition
        self.action = action
        self.at = at
        self.days = days
        self.exceptions = exceptions
        self.on = on
        self.observesHolidays = observesHolidays
        self.forceArm = forceArm
        self.warningMinutes = warningMinutes ?? Self.defaultWarningMinutes(for: action)
        self.latest = latest
        self.isEnabled = isEnabled
    }
}

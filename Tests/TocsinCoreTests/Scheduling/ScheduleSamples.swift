import TocsinCore

extension Schedule {
    /// Arms partition 1 away at six in the evening on weekdays.
    static func sample(
        _ action: Action = .arm(.away),
        at: String = "18:00",
        days: Set<Weekday> = [.mon, .tue, .wed, .thu, .fri],
        exceptions: [Exception] = [],
        on: String? = nil,
        observesHolidays: Bool = true,
        latest: String? = nil,
        isEnabled: Bool = true
    ) -> Schedule {
        Schedule(
            id: ScheduleID(stored: "sch_1"),
            name: "Close",
            partition: 1,
            action: action,
            at: .of(at),
            days: days,
            exceptions: exceptions,
            on: on.map { .of($0) },
            observesHolidays: observesHolidays,
            latest: latest.map { .of($0) },
            isEnabled: isEnabled
        )
    }

    /// The local times of all runs of a span that begins and ends at UTC midnights.
    func runs(from: String, to: String, in zone: TimeZoneRules, holidays: Set<CivilDate> = []) -> [String] {
        occurrences(after: .midnight(from), through: .midnight(to), holidays: holidays, zone: zone)
            .map(zone.localText)
    }
}

extension TimeOfDay {
    /// A constant of a test; noon if it is mistyped, which no test uses.
    static func of(_ text: String) -> TimeOfDay { TimeOfDay(text) ?? TimeOfDay(minutes: 720) }
}

extension CivilDate {
    /// A constant of a test; the first day of 1970 if it is mistyped, which no test uses.
    static func of(_ text: String) -> CivilDate { CivilDate(text: text) ?? CivilDate(daysSinceEpoch: 0) }
}

extension Instant {
    static func midnight(_ date: String) -> Instant {
        Instant(secondsSinceEpoch: CivilDate.of(date).daysSinceEpoch * 86_400)
    }
}

extension TimeZoneRules {
    /// Changes at those UTC seconds, written by hand so that the tests need no database.
    static func made(_ name: String, from initial: Int, _ changes: (at: String, hours: Double)...) -> TimeZoneRules {
        TimeZoneRules(
            name: name,
            initialOffsetSeconds: initial * 3600,
            transitions: changes.compactMap { change in
                (try? Instant(rfc3339: change.at)).map {
                    Transition(secondsSinceEpoch: $0.secondsSinceEpoch, offsetSeconds: Int(change.hours * 3600))
                }
            }
        )
    }

    /// One year of it: an hour is skipped at 02:00 on 8 March, and shown twice until 02:00 on 1 November.
    static let chicago = made(
        "America/Chicago",
        from: -6,
        ("2026-03-08T08:00:00Z", -5),
        ("2026-11-01T07:00:00Z", -6)
    )

    /// Shifts by half an hour.
    static let lordHowe = made(
        "Australia/Lord_Howe",
        from: 11,
        ("2026-04-04T15:00:00Z", 10.5),
        ("2026-10-03T15:30:00Z", 11)
    )

    /// Skipped 30 December 2011, a Friday, when it moved to the other side of the date line.
    static let apia = made("Pacific/Apia", from: -10, ("2011-12-30T10:00:00Z", 14))

    static let samples = [utc, chicago, lordHowe, apia]
}

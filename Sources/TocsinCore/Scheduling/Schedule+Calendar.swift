extension Schedule {
    /// One run of a rule: the civil date that it belongs to, and when it is due.
    package struct Occurrence: Hashable, Sendable {
        package var date: CivilDate
        package var at: Instant

        package init(date: CivilDate, at: Instant) {
            self.date = date
            self.at = at
        }
    }

    /// How far ``next(after:holidays:zone:)`` looks: past a year's only run, even if that falls on a leap day's gap.
    package static let searchDays = 400

    /// The time at which the rule runs on a date; `nil` where it does not.
    package func time(on date: CivilDate, holidays: Set<CivilDate>) -> TimeOfDay? {
        guard isEnabled else { return nil }
        if let on { return date == on ? at : nil }
        switch exceptions.first(where: { $0.date == date })?.hours {
        case .closed: return nil
        case .at(let time): return time
        case nil: break
        }
        guard days.contains(date.weekday), !(observesHolidays && holidays.contains(date)) else { return nil }
        return at
    }

    /// The first runs that are due after one instant and not after another, in order.
    ///
    /// Each date has one run at most, and no two runs are due at once: where the clocks skip a whole day, its run and
    /// the one at the end of the gap are the same.
    package func runs(
        after: Instant,
        through: Instant,
        holidays: Set<CivilDate>,
        zone: TimeZoneRules,
        first count: Int = .max
    ) -> [Occurrence] {
        var found: [Occurrence] = []
        // A run is due on its date, or up to a day later where the clocks skipped it: two days back is safe.
        var date = on ?? zone.local(of: after).date.adding(days: -2)
        let last = on ?? zone.local(of: through).date
        while date <= last, found.count < count {
            if let time = time(on: date, holidays: holidays) {
                let due = zone.instant(of: date, at: time)
                if due > through { break }
                if due > after, due != found.last?.at { found.append(Occurrence(date: date, at: due)) }
            }
            date = date.adding(days: 1)
        }
        return found
    }

    /// When the rule runs, after one instant and not after another, in order.
    package func occurrences(
        after: Instant,
        through: Instant,
        holidays: Set<CivilDate>,
        zone: TimeZoneRules
    ) -> [Instant] {
        runs(after: after, through: through, holidays: holidays, zone: zone).map(\.at)
    }

    /// The next run after an instant, if there is one within ``searchDays``.
    package func next(after: Instant, holidays: Set<CivilDate>, zone: TimeZoneRules) -> Occurrence? {
        // A one-off is a single date to look at, however far away it is.
        let end = on.map { zone.instant(of: $0.adding(days: 2), at: at) } ?? after + .seconds(Self.searchDays * 86_400)
        return runs(after: after, through: end, holidays: holidays, zone: zone, first: 1).first
    }

    /// The instant past which a run may not be postponed; `nil` where the rule sets no limit.
    package func latest(for run: Occurrence, holidays: Set<CivilDate>, zone: TimeZoneRules) -> Instant? {
        guard let latest else { return nil }
        let planned = time(on: run.date, holidays: holidays) ?? at
        return zone.instant(of: latest < planned ? run.date.adding(days: 1) : run.date, at: latest)
    }
}

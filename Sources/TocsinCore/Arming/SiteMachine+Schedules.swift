/// Why a planned run was not postponed or skipped.
package enum ScheduleRefusal: Error, Hashable, Sendable {
    /// 404 `schedule_not_found`.
    case unknownSchedule(ScheduleID)
    /// 409: the rule is off, over, or has no run within a year.
    case nothingPlanned
    /// 422: outside ``Schedule/postponeMinutes``.
    case minutesOutOfRange
    /// 409: the rule allows no later time than this.
    case tooLate(latest: Instant)

    /// What is wrong and what to do, in words.
    package var message: String {
        switch self {
        case .unknownSchedule(let id): "There is no schedule \(id) at this site."
        case .nothingPlanned: "The schedule has no run ahead that could be postponed or skipped."
        case .minutesOutOfRange:
            "A run is postponed by \(Schedule.postponeMinutes.lowerBound) to \(Schedule.postponeMinutes.upperBound) minutes."
        case .tooLate(let latest):
            "This run may be postponed until \(latest.rfc3339Seconds) at the latest. Ask for fewer minutes, or skip it."
        }
    }
}

/// What postponing or skipping a run came to.
package struct ScheduleOutcome: Sendable {
    /// When the rule runs next; none if it never does.
    package var answer: Result<Instant?, ScheduleRefusal>
    package var deadlineEffects: [ArmingEffect]
    package var effects: [ArmingEffect]
}

extension Schedule {
    /// By how much a run may be postponed at a time (design, arming: schedules).
    package static let postponeMinutes = 15...120
}

extension SiteMachine {
    /// Brings what is planned in line with the configuration: schedules, holidays, opening hours, time zone.
    ///
    /// To be called whenever a configuration may have changed, and when the server starts: it is idempotent, keeps what
    /// was postponed or skipped while its rule stands, and leaves what is overdue to ``deadlinesReached(by:)``.
    package mutating func reconfigured(at now: Instant) {
        var step = step(at: now, .deadline)
        step.alignDevices()
        step.planSchedules()
        step.planHours()
        state = step.state
    }

    /// Moves the next run of a rule, once or several times, up to its latest time (T38).
    package mutating func postpone(
        _ id: ScheduleID,
        minutes: Int,
        by: Attribution,
        receivedAt: Instant
    ) -> ScheduleOutcome {
        change(id, receivedAt) { step, rule, partition, planned throws(ScheduleRefusal) in
            guard Schedule.postponeMinutes.contains(minutes) else { throw .minutesOutOfRange }
            guard let due = planned.dueAt else { throw .nothingPlanned }
            let moved = due + .seconds(minutes * 60)
            if let latest = step.postponementLimit(of: rule), moved > latest { throw .tooLate(latest: latest) }
            var changed = planned
            changed.dueAt = moved
            // Whoever postpones knows of it; who was warned before is warned of the new time, if that is still ahead.
            let warning = moved - .seconds(rule.warningMinutes * 60)
            changed.warnAt = rule.warningMinutes > 0 && warning > receivedAt ? warning : nil
            changed.retryUntil = nil
            changed.lateSince = nil
            step.state.schedules[id] = changed
            step.note(
                partition,
                "schedule.postponed",
                "\(by.words) postponed “\(rule.name)” of \(partition.name) by \(minutes) minutes, to "
                    + step.timeZone.localText(moved)
            )
        }
    }

    /// What is planned for a rule as soon as the machine has seen the rule, and the holidays, as they are.
    ///
    /// - Parameters:
    ///   - rule: As it is configured, which may be newer than what this machine's configuration says of it.
    ///   - now: When somebody asks.
    /// - Returns: None for a rule that does not run.
    package func plan(of rule: Schedule, at now: Instant) -> ScheduleState? {
        var site = configuration
        site.schedules = [rule]
        var step = PanelStep(site: site, timeZone: timeZone, now: now, lateness: .zero, cause: .deadline, state: state)
        step.planSchedules()
        return step.state.schedules[rule.id]
    }

    /// Leaves the next run of a rule out, once: as long as that run would be ahead, asking again changes nothing.
    package mutating func skip(_ id: ScheduleID, by: Attribution, receivedAt: Instant) -> ScheduleOutcome {
        change(id, receivedAt) { step, rule, partition, planned throws(ScheduleRefusal) in
            if let skipped = planned.skipped, receivedAt < skipped.until { return }
            guard let occurrence = planned.occurrence else { throw .nothingPlanned }
            step.skip(rule, occurrence)
            step.note(
                partition,
                "schedule.skipped",
                "\(by.words) left out the run of “\(rule.name)” of \(partition.name) at "
                    + step.timeZone.localText(occurrence)
            )
        }
    }

    private mutating func change(
        _ id: ScheduleID,
        _ receivedAt: Instant,
        _ change: (inout PanelStep, Schedule, Partition, ScheduleState) throws(ScheduleRefusal) -> Void
    ) -> ScheduleOutcome {
        let deadlineEffects = deadlinesReached(by: receivedAt)
        var step = step(at: receivedAt, .command)
        do throws(ScheduleRefusal) {
            guard let rule = configuration.schedules.first(where: { $0.id == id }),
                let partition = configuration.partition(of: rule)
            else { throw .unknownSchedule(id) }
            step.planSchedules()
            guard let planned = step.state.schedules[id] else { throw .nothingPlanned }
            try change(&step, rule, partition, planned)
        } catch {
            return ScheduleOutcome(answer: .failure(error), deadlineEffects: deadlineEffects, effects: [])
        }
        state = step.state
        let next = state.schedules[id]?.dueAt
        return ScheduleOutcome(answer: .success(next), deadlineEffects: deadlineEffects, effects: step.effects)
    }
}

/// One line of a schedule's `next_runs` (decisions §13).
package struct NextRun: Hashable, Sendable {
    package var at: Instant
    /// The same with the site's offset.
    package var local: String
    /// `arm_away`, …, `disarm`.
    package var action: String

    /// How far ahead runs are shown.
    package static let horizon: Duration = .seconds(14 * 86_400)
}

extension Schedule {
    /// What the rule will do next: what is planned, which may have been postponed or skipped, then what the rule says.
    ///
    /// - Parameters:
    ///   - planned: What the site's state says of the rule; none if it is new.
    ///   - now: What is earlier is left out.
    ///   - holidays: The dealer's.
    ///   - zone: The site's.
    /// - Returns: In order, within ``NextRun/horizon``.
    package func nextRuns(
        planned: ScheduleState?,
        at now: Instant,
        holidays: Set<CivilDate>,
        zone: TimeZoneRules
    ) -> [NextRun] {
        var due: [Instant] = []
        var after = now
        if let planned, planned.definition == definition(in: zone) {
            after = max(now, planned.occurrence ?? now, planned.handledThrough ?? now)
            if let next = planned.dueAt, isEnabled { due.append(next) }
        }
        due += occurrences(after: after, through: now + NextRun.horizon, holidays: holidays, zone: zone)
        return due.filter { $0 <= now + NextRun.horizon }
            .map { NextRun(at: $0, local: zone.localText($0), action: action.wireName) }
    }
}

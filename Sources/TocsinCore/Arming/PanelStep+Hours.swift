/// Opening hours of one date, as instants.
private struct BusinessDay {
    var opensFrom: Instant
    /// Still armed then, the premises failed to open.
    var opensTo: Instant
    /// Still disarmed then, they failed to close.
    var closesTo: Instant

    /// None on a day without hours and on holidays.
    init?(_ hours: OpeningHours, on date: CivilDate, holidays: Set<CivilDate>, zone: TimeZoneRules) {
        guard hours.days.isEmpty || hours.days.contains(date.weekday), !holidays.contains(date) else { return nil }
        // What is earlier than the opening is on the next day.
        func instant(_ time: TimeOfDay) -> Instant {
            zone.instant(of: time < hours.openFrom ? date.adding(days: 1) : date, at: time)
        }
        opensFrom = instant(hours.openFrom)
        opensTo = instant(hours.openTo)
        closesTo = instant(hours.closeTo)
    }

    /// When somebody must look.
    var checks: [Instant] { [opensTo, closesTo] }
}

/// Openings and closings outside of their hours, or not at all (T41).
extension PanelStep {
    /// Hours reach into the next day, and a skipped date into the one after.
    private static let daysBack = 2
    /// Long enough for every pause between two days of work; as far as schedules look.
    private static let daysAhead = Schedule.searchDays

    private func days(of hours: OpeningHours, around instant: Instant) -> some Sequence<BusinessDay> {
        let today = timeZone.local(of: instant).date
        return (-Self.daysBack...Self.daysAhead).lazy.compactMap {
            BusinessDay(hours, on: today.adding(days: $0), holidays: site.holidays, zone: timeZone)
        }
    }

    /// Plans when to look next; a look that is overdue stays.
    mutating func planHours() {
        let isOurs = site.site.armingModel == .platformTriggered
        for partition in site.partitions {
            let hours = isOurs ? partition.policy.hours : []
            let standing = self[partition].hoursDueAt.flatMap { due in
                due <= now && hours.contains { isCheck(due, of: $0) } ? due : nil
            }
            let due = standing ?? nextCheck(of: hours)
            if self[partition].hoursDueAt != due { self[partition].hoursDueAt = due }
        }
    }

    private func isCheck(_ instant: Instant, of hours: OpeningHours) -> Bool {
        days(of: hours, around: instant).prefix(2 * Self.daysBack + 1).contains { $0.checks.contains(instant) }
    }

    private func nextCheck(of hours: [OpeningHours]) -> Instant? {
        hours.compactMap { hours in
            days(of: hours, around: now).lazy.flatMap(\.checks).first { $0 > now }
        }.min()
    }

    /// Says what did not happen by the end of its time.
    mutating func checkHours(of partition: Partition) {
        let hours = partition.policy.hours
        let phase = self[partition].phase
        for day in hours.flatMap({ days(of: $0, around: now).prefix(2 * Self.daysBack + 1) }) {
            if day.opensTo == now, phase.guardingMode != nil {
                except(.failToOpen, partition, "\(partition.name) was not opened by the end of its opening time")
            }
            if day.closesTo == now, phase.guardingMode == nil, !phase.isArming {
                except(.failToClose, partition, "\(partition.name) was not closed by the end of its closing time")
            }
        }
        self[partition].hoursDueAt = nextCheck(of: hours)
    }

    /// Says that somebody opened or closed when nobody should.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - previous: Its phase before.
    ///   - phase: Its phase now.
    ///   - began: When the change was begun: a closing begins with its exit delay.
    ///   - by: Who.
    mutating func judgeHours(
        _ partition: Partition,
        from previous: Phase,
        to phase: Phase,
        began: Instant,
        by: Attribution
    ) {
        let hours = partition.policy.hours
        if hours.isEmpty { return }
        let isOpenTime = hours.contains { hours in
            days(of: hours, around: began).prefix(2 * Self.daysBack + 1)
                .contains { ($0.opensFrom...max($0.opensFrom, $0.closesTo)).contains(began) }
        }
        if isOpenTime { return }
        let clock = TimeOfDay(minutes: timeZone.local(of: began).secondOfDay / 60).text
        switch (phase, previous.guardingMode) {
        case (.disarmed, .some):
            except(
                .earlyOpen,
                partition,
                "\(partition.name) was opened at \(clock) by \(by.words), outside its hours",
                by: by
            )
        case (.armed, nil):
            except(
                .lateClose,
                partition,
                "\(partition.name) was closed at \(clock) by \(by.words), outside its hours",
                by: by
            )
        case (.disarmed, nil), (.armed, .some), (.arming, _), (.entry, _): break
        }
    }

    mutating func except(
        _ kind: ArmingException.Kind,
        _ partition: Partition,
        _ message: String,
        by: Attribution? = nil
    ) {
        emit(
            .armingException(
                ArmingException(
                    siteID: site.site.id,
                    partitionID: partition.id,
                    kind: kind,
                    message: message,
                    by: by
                )
            ),
            partition
        )
        note(partition, "arming.\(kind.rawValue)", message)
    }
}

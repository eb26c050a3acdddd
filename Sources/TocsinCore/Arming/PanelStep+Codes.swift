extension PanelStep {
    /// What a command's credential came to.
    enum CodeVerdict {
        /// No code is needed.
        case trusted
        case holder(SiteUser, isDuress: Bool)
        /// Unknown, expired, used up, outside its window, or none given: the caller learns only that (I8).
        case invalid(duress: SiteUser?)
        case locked(until: Instant, duress: SiteUser?)
    }

    /// Checks the code before anything else is looked at (decisions §5), and counts the wrong ones (T36).
    mutating func check(_ authority: ArmingCommand.Authority, for targets: [Partition]) -> CodeVerdict {
        guard case .code(let hash, let source) = authority else { return .trusted }
        state.codedCommands += 1
        let holder = hash.flatMap { site.codeHolders[$0] }
        let user = holder.map { site.users[$0.user] }
        let duress = holder?.isDuress == true ? user : nil
        let locks = targets.compactMap { self[$0].codeGuards[source]?.lockedUntil }.filter { $0 > now }
        if let until = locks.max() { return .locked(until: until, duress: duress) }
        // Nobody guesses by giving none: an app that forgets the code must not lock its people out.
        if hash == nil { return .invalid(duress: nil) }
        guard let holder, let user, isGood(user) else {
            for partition in targets { countFailure(in: partition, from: source) }
            return .invalid(duress: duress)
        }
        for partition in targets { endDoubling(in: partition, for: source) }
        return .holder(user, isDuress: holder.isDuress)
    }

    /// Looks for a duress code in a command that was refused before its code was checked: duress is never lost.
    ///
    /// The reply says nothing of the code, so that nobody guesses by it and wrong ones are not counted. For every code the
    /// same is stored.
    mutating func hear(_ hash: String, for targets: [Partition]) {
        state.codedCommands += 1
        guard let holder = site.codeHolders[hash], holder.isDuress else { return }
        raiseDuress(by: site.users[holder.user], in: targets)
    }

    /// Whether the code is good now: its dates, its hours and its number of uses.
    private func isGood(_ user: SiteUser) -> Bool {
        if let from = user.validFrom, now < from { return false }
        if let until = user.validUntil, now >= until { return false }
        if let maximum = user.maximumUses, state.codeUses[user.id] ?? 0 >= maximum { return false }
        guard let windows = user.windows else { return true }
        return windows.contains { $0.covers(now, in: timeZone) }
    }

    /// A right code ends the doubling, but wrong ones of the last minutes still count: or whoever has a code of their own
    /// could try those of others without end.
    private mutating func endDoubling(in partition: Partition, for source: String) {
        guard var codeGuard = self[partition].codeGuards[source] else { return }
        codeGuard.failures.removeAll { now - $0 >= CodeGuard.window }
        codeGuard.lockedUntil = nil
        codeGuard.lockouts = 0
        self[partition].codeGuards[source] = codeGuard.failures.isEmpty ? nil : codeGuard
    }

    private mutating func countFailure(in partition: Partition, from source: String) {
        var codeGuard = self[partition].codeGuards[source] ?? CodeGuard()
        codeGuard.failures = codeGuard.failures.filter { now - $0 < CodeGuard.window } + [now]
        if codeGuard.failures.count >= CodeGuard.failuresMaximum {
            var time = CodeGuard.firstLockout
            for _ in 0..<min(codeGuard.lockouts, 8) { time = min(time + time, CodeGuard.longestLockout) }
            codeGuard.lockedUntil = now + time
            codeGuard.lockouts += 1
            codeGuard.failures = []
            note(
                partition,
                "code.locked",
                "Too many wrong codes from \(source) for \(partition.name): locked for \(time.milliseconds / 60_000) min"
            )
        }
        self[partition].codeGuards = self[partition].codeGuards.filter { !$0.value.isStale(at: now) }
        self[partition].codeGuards[source] = codeGuard
    }

    /// The silent alarm of a duress code: an incident of its own, whatever else is open (T37).
    mutating func raiseDuress(by user: SiteUser, in targets: [Partition]) {
        guard let partition = targets.first else { return }
        trip(
            Trip(
                alarmClass: .duress,
                zone: nil,
                trigger: "duress",
                location: partition.name,
                isSilent: true
            ),
            in: partition
        )
        note(partition, "alarm.duress", "\(user.name) used the duress code at \(partition.name)")
    }
}

extension WeeklyWindow {
    /// Whether the window is open at that moment; one that ends on the next day belongs to the day it begins on.
    func covers(_ instant: Instant, in timeZone: TimeZoneRules) -> Bool {
        let (date, second) = timeZone.local(of: instant)
        func applies(_ date: CivilDate) -> Bool { days.isEmpty || days.contains(date.weekday) }
        let minute = second / 60
        if from < to { return applies(date) && minute >= from.minutes && minute < to.minutes }
        if applies(date), minute >= from.minutes { return true }
        return applies(date.adding(days: -1)) && minute < to.minutes
    }
}

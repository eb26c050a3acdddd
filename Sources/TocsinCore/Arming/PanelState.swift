/// An exit delay that Tocsin itself counts; the phase tells what is being armed and from where (design, arming).
package struct ExitDelay: Hashable, Sendable {
    package var startedAt: Instant
    /// It is over at this instant exactly.
    package var deadline: Instant
    /// The whole exit time in seconds, for a restart.
    package var seconds: Int
    /// At most one restart per arming (I3).
    package var isRestartUsed = false
    package var doorOpened = false
    package var doorClosedOnce = false
    /// What was bypassed before this arming; what a failed arming leaves (I10).
    package var base: [ZoneID: BypassReason]
    /// Whether the session that it may go back to gives no time to come in.
    package var hadNoEntryDelay = false
    package var by: Attribution
    /// A quick exit relaxes this door alone (T47).
    package var relaxedZone: ZoneID?
    package var isQuick = false

    package init(startedAt: Instant, seconds: Int, base: [ZoneID: BypassReason], by: Attribution) {
        self.startedAt = startedAt
        self.seconds = seconds
        deadline = startedAt + .seconds(seconds)
        self.base = base
        self.by = by
    }
}

/// Why a zone is left out of an arming session.
package enum BypassReason: String, CaseIterable, Sendable {
    case manual
    case auto
    case force
    case swinger
}

/// How often a zone tripped in a session.
package struct SwingerCount: Hashable, Sendable {
    package var count: Int
    package var lastAt: Instant

    package init(count: Int, lastAt: Instant) {
        self.count = count
        self.lastAt = lastAt
    }

    /// After this quiet time a zone counts from zero again (T32).
    package static let quietTime: Duration = .seconds(8 * 3600)
}

/// One member of a cross group tripped; the second within the window makes an incident (T33).
package struct CrossPending: Hashable, Sendable {
    package var zone: ZoneID
    package var until: Instant

    package init(zone: ZoneID, until: Instant) {
        self.zone = zone
        self.until = until
    }
}

/// Wrong codes from one source (design, arming: people).
package struct CodeGuard: Hashable, Sendable {
    /// When wrong codes came, the last `window` only.
    package var failures: [Instant] = []
    package var lockedUntil: Instant?
    /// How often it was locked since the last right code; doubles the time.
    package var lockouts = 0

    package init() {}

    package static let failuresMaximum = 5
    package static let window: Duration = .seconds(600)
    package static let firstLockout: Duration = .seconds(300)
    package static let longestLockout: Duration = .seconds(3600)

    /// What is not worth keeping any longer.
    package func isStale(at now: Instant) -> Bool {
        let last = [failures.last, lockedUntil].compactMap(\.self).max() ?? now
        return now - last > Self.longestLockout
    }
}

/// A stretch of time in which a partition was armed: what a late signal is judged by (decisions §14).
package struct ArmedSession: Hashable, Sendable {
    package var mode: ArmingMode
    package var from: Instant
    /// None while it lasts.
    package var to: Instant?

    package init(mode: ArmingMode, from: Instant, to: Instant? = nil) {
        self.mode = mode
        self.from = from
        self.to = to
    }

    /// More than a week of ordinary days; bounds a site's state.
    package static let rememberedMaximum = 16
}

/// What a zone reports wrong with itself, whether it is open or closed.
package enum ZoneFault: String, CaseIterable, Comparable, Sendable {
    case tamper
    case trouble

    package static func < (a: ZoneFault, b: ZoneFault) -> Bool { a.rawValue < b.rawValue }
}

/// What a zone or its device says of itself, in one word.
package enum ZoneCondition: String, CaseIterable, Sendable {
    case closed
    case open
    /// Its device is offline past the debounce; trouble, not an alarm.
    case unknown
    case tamper
    case trouble
}

/// The state of one zone of a site.
package struct ZoneState: Hashable, Sendable {
    /// What its contact said last; neither a fault nor silence changes that.
    package var isOpen = false
    /// Last until the zone says `restored`.
    package var faults: Set<ZoneFault> = []
    /// Its device is offline past the debounce.
    package var isOffline = false
    /// When the last signal that was applied happened, by the panel's clock.
    package var at: Instant?
    /// The moments of the last opens: a repetition is a duplicate even without a `signal_id`.
    package var recentOpens: [Instant] = []
    /// Those of the last tampers: an open and a tamper in the same second of a panel's clock are two things.
    package var recentTampers: [Instant] = []
    /// An open that counts only if it lasts until then (`delay_on_seconds`).
    package var pendingUntil: Instant?

    package init() {}

    /// Signals of one moment that a flaky panel sends again.
    package static let rememberedOpens = 8

    /// The word for all of it: an open contact shows whatever else is wrong.
    package var condition: ZoneCondition {
        if isOffline { return .unknown }
        if isOpen { return .open }
        if faults.contains(.tamper) { return .tamper }
        return faults.contains(.trouble) ? .trouble : .closed
    }

    /// Whether it is open, and nothing else is wrong with it.
    package var isMerelyOpen: Bool { isOpen && faults.isEmpty && !isOffline }
}

/// What a schedule rule is about to do.
package struct ScheduleState: Hashable, Sendable {
    /// Tells whether the rule was changed since: a hash of its settings.
    package var definition: Int64
    /// The occurrence that comes next, by the rule; none if there is none within a year.
    package var occurrence: Instant?
    /// When it is to run: the occurrence, or what it was postponed to.
    package var dueAt: Instant?
    /// When people are to be warned of it; none once they were.
    package var warnAt: Instant?
    /// A run that found the partition not ready is tried again once a minute until then.
    package var retryUntil: Instant?
    /// The arming that it began may still fail in its exit delay; then it is tried again until then.
    package var exitRetryUntil: Instant?
    /// When a run was due that the server was not there for, while it is made up for.
    package var lateSince: Instant?
    /// No occurrence up to then comes again: it ran, was skipped or missed, or was before the rule.
    package var handledThrough: Instant?
    /// The run that somebody left out last.
    package var skipped: SkippedRun?
    /// When the site must be looked at next for this rule.
    package var nextDeadline: Instant? { [dueAt, warnAt].compactMap(\.self).min() }

    package init(definition: Int64) { self.definition = definition }
}

/// A run that somebody left out: as long as it would be ahead, leaving it out again leaves out nothing more.
package struct SkippedRun: Hashable, Sendable {
    /// The occurrence, by the rule.
    package var occurrence: Instant
    /// When it, or its last attempt, would have been.
    package var until: Instant

    package init(occurrence: Instant, until: Instant) {
        self.occurrence = occurrence
        self.until = until
    }
}

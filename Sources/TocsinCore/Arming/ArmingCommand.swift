/// A command on a platform-triggered site (decisions §5): from an app, an admin, a schedule or a key switch.
package struct ArmingCommand: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case arm(ArmRequest)
        case disarm
        /// Ends the exit delay now (T17).
        case skipExit
        /// Lets somebody out of an armed stay without disarming (T47).
        case quickExit
        /// Ends the bell now; the incident stays.
        case silence
    }

    package struct ArmRequest: Hashable, Sendable {
        package var mode: ArmingMode
        /// Numbers of zones to leave out.
        package var bypassZones: [Int]
        package var force: Bool
        /// No exit delay.
        package var instant: Bool
        /// No entry delay in this session.
        package var noEntryDelay: Bool

        package init(
            mode: ArmingMode,
            bypassZones: [Int] = [],
            force: Bool = false,
            instant: Bool = false,
            noEntryDelay: Bool = false
        ) {
            self.mode = mode
            self.bypassZones = bypassZones
            self.force = force
            self.instant = instant
            self.noEntryDelay = noEntryDelay
        }
    }

    /// What stands behind the command.
    package enum Authority: Hashable, Sendable {
        /// A user code, as its keyed hash; none was given where one is needed. `source` is who is locked out by wrong ones.
        case code(hash: String?, source: String)
        /// An admin, a schedule or a key: needs no code.
        case trusted
    }

    package var action: Action
    package var target: PartitionTarget
    package var authority: Authority
    /// Who asks, before a code tells the person.
    package var by: Attribution

    package init(action: Action, target: PartitionTarget, authority: Authority, by: Attribution) {
        self.action = action
        self.target = target
        self.authority = authority
        self.by = by
    }
}

/// Why a command was refused; the partitions' state is as it was.
package enum CommandRefusal: Error, Hashable, Sendable {
    case unknownPartition(PartitionTarget)
    /// 412 `version_conflict`: the caller has seen another version of the site.
    case versionConflict
    /// 403 `invalid_user_code`: missing, wrong, expired, used up or outside its window.
    case invalidCode
    /// 429 `user_code_locked`.
    case codeLocked(until: Instant)
    /// 409 `arm_failed`, with everything that stands against it.
    case armFailed([ArmFailureReason])
    /// 403 `permission_denied`: the user has no right to it.
    case notPermitted([ArmFailureReason])
    /// 409 `invalid_transition`: skip-exit without an exit delay, quick-exit when not in stay.
    case impossible(message: String)
    /// 504 `partner_unreachable`.
    case partnerUnreachable
}

/// What a command came to.
package struct CommandOutcome: Sendable {
    package var answer: Result<CommandReply, CommandRefusal>
    /// What had fallen due before the command arrived; holds even where it is refused.
    package var deadlineEffects: [ArmingEffect]
    package var effects: [ArmingEffect]
    /// The person whose code it was, or who asked.
    package var by: Attribution
    /// What was done and why, for the audit log (I22).
    package var explanation: String
}

/// A command that was carried out, or was in force already.
package struct CommandReply: Hashable, Sendable {
    /// Those that it was about, in the order of their numbers.
    package var partitions: [PartitionID]
    /// The same was in force or under way already (T05, T07, T16).
    package var isUnchanged: Bool
    /// It waits for the partner's answer (decisions §5); tells under which id.
    package var pending: EventID?

    package init(partitions: [PartitionID], isUnchanged: Bool, pending: EventID? = nil) {
        self.partitions = partitions
        self.isUnchanged = isUnchanged
        self.pending = pending
    }
}

/// What a zone or device reports (decisions §6), read and checked.
package struct Signal: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case open
        case closed
        /// An open that closes by itself.
        case triggered
        case tamper
        case trouble
        case restored
    }

    package enum Origin: Hashable, Sendable {
        case zone(ZoneID)
        case number(Int)
        /// Every zone of this device.
        case device(DeviceID)
    }

    package var origin: Origin
    package var kind: Kind
    /// When it happened, by the panel's clock.
    package var timestamp: Instant
    package var signalID: String?
    /// What the sender took of it, to be shown with the alarm.
    package var snapshotID: SnapshotID?

    package init(
        origin: Origin,
        kind: Kind,
        timestamp: Instant,
        signalID: String? = nil,
        snapshotID: SnapshotID? = nil
    ) {
        self.origin = origin
        self.kind = kind
        self.timestamp = timestamp
        self.signalID = signalID
        self.snapshotID = snapshotID
    }

    /// Older than this on arrival, a signal tells of the past: it is judged by what was armed then (decisions §14).
    package static let lateness: Duration = .seconds(5)
}

/// What became of a signal: an element of the reply's `data`.
package struct SignalAnswer: Hashable, Sendable {
    package enum Outcome: String, CaseIterable, Sendable {
        case accepted
        case duplicate
        case superseded
        case rejected
    }

    package var signalID: String?
    package var outcome: Outcome
    /// Why, where it was not simply taken, for example `late`, `unknown_zone` or `unknown_device`.
    package var reason: String?

    package init(signalID: String?, outcome: Outcome, reason: String? = nil) {
        self.signalID = signalID
        self.outcome = outcome
        self.reason = reason
    }
}

/// What a batch of signals came to.
package struct SignalOutcome: Sendable {
    /// One per signal, in the order of the request.
    package var answers: [SignalAnswer]
    package var deadlineEffects: [ArmingEffect]
    package var effects: [ArmingEffect]
}

/// One change of a partition, with everything that `GET …/arming/history` tells of it (I22).
package struct PartitionChange: Hashable, Sendable {
    package var partitionID: PartitionID
    package var at: Instant
    package var state: String
    package var previousState: String
    package var by: Attribution
    /// What set it off: `report`, `command`, `signal`, `deadline`, `schedule`.
    package var cause: String
    /// Why the state is what it is, in words that a person can read.
    package var explanation: String

    package init(
        partitionID: PartitionID,
        at: Instant,
        state: String,
        previousState: String,
        by: Attribution,
        cause: String,
        explanation: String
    ) {
        self.partitionID = partitionID
        self.at = at
        self.state = state
        self.previousState = previousState
        self.by = by
        self.cause = cause
        self.explanation = explanation
    }
}

import TocsinCore

/// Something that happens to a simulated site; all but an advance happen at the present moment.
package enum SimulationInput: Hashable, Sendable {
    case command(CommandInput)
    case signal(SignalInput)
    case device(DeviceID, isOffline: Bool)
    case report(ReportInput)
    /// Operators resolve the first incident of a class.
    case resolve(AlarmClass)
    /// An app raises an alarm in the first partition, which becomes a part of one that is open there.
    case raise(AlarmClass, isSilent: Bool)
    /// Operators answer the verification that is asked for first.
    case answer
    case advance(Advance)

    /// How far time goes.
    package enum Advance: Hashable, Sendable {
        /// To one second before the next deadline.
        case beforeDeadline
        /// To the next deadline exactly.
        case toDeadline
        /// By a fixed time in which nothing falls due.
        case quiet(seconds: Int)
    }
}

/// A command, with the word that stands for the code's hash.
package struct CommandInput: Hashable, Sendable {
    package enum Credential: Hashable, Sendable {
        case trusted
        case code(String)
        /// A code was needed and none was given.
        case missing
    }

    package var action: ArmingCommand.Action
    package var target: PartitionTarget
    package var credential: Credential
    package var source: Source

    package init(
        _ action: ArmingCommand.Action,
        _ target: PartitionTarget = .all,
        with credential: Credential,
        from source: Source = .keypad
    ) {
        self.action = action
        self.target = target
        self.credential = credential
        self.source = source
    }

    /// The command as the machine takes it; the keypad is who is locked out.
    package var command: ArmingCommand {
        let authority: ArmingCommand.Authority =
            switch credential {
            case .trusted: .trusted
            case .code(let word): .code(hash: word, source: Self.lockSource)
            case .missing: .code(hash: nil, source: Self.lockSource)
            }
        let name: String? = source == .schedule ? "closing time" : nil
        return ArmingCommand(
            action: action,
            target: target,
            authority: authority,
            by: Attribution(userID: nil, name: name, source: source)
        )
    }

    /// Whose wrong codes are counted.
    package static let lockSource = "keypad"
}

/// One signal of a zone.
package struct SignalInput: Hashable, Sendable {
    package var zone: Int
    package var kind: Signal.Kind
    /// How long ago it happened, in milliseconds.
    package var age: Int
    package var id: String?

    package init(zone: Int, _ kind: Signal.Kind, age: Int = 0, id: String? = nil) {
        self.zone = zone
        self.kind = kind
        self.age = age
        self.id = id
    }

    package func signal(at now: Instant) -> Signal {
        Signal(origin: .number(zone), kind: kind, timestamp: now - .milliseconds(age), signalID: id)
    }
}

/// A partner's report.
package struct ReportInput: Hashable, Sendable {
    package var state: ReportedState
    package var target: PartitionTarget
    /// How long ago it happened, in seconds; negative for a clock that is ahead.
    package var age: Int
    package var mode: ArmingMode?
    package var delaySeconds: Int?

    package init(
        _ state: ReportedState,
        _ target: PartitionTarget = .all,
        age: Int = 0,
        mode: ArmingMode? = nil,
        delaySeconds: Int? = nil
    ) {
        self.state = state
        self.target = target
        self.age = age
        self.mode = mode
        self.delaySeconds = delaySeconds
    }

    package func report(at now: Instant) -> ArmingReport {
        ArmingReport(
            state: state,
            target: target,
            timestamp: now - .seconds(age),
            userID: "ann",
            source: .keypad,
            delaySeconds: delaySeconds,
            mode: mode
        )
    }
}

// MARK: - In words

extension SimulationInput: CustomStringConvertible {
    package var description: String {
        switch self {
        case .command(let input): input.description
        case .signal(let input):
            "zone \(input.zone) \(input.kind.rawValue)" + (input.age > 0 ? ", \(input.age) ms ago" : "")
        case .device(let id, let isOffline): "\(id) goes \(isOffline ? "offline" : "online")"
        case .report(let input): input.description
        case .resolve(let alarmClass): "operators resolve the \(alarmClass.rawValue) alarm"
        case .raise(let alarmClass, let isSilent):
            "an app raises \(isSilent ? "a silent" : "an") \(alarmClass.rawValue) alarm"
        case .answer: "operators answer a verification"
        case .advance(.beforeDeadline): "time goes to 1 s before the next deadline"
        case .advance(.toDeadline): "time goes to the next deadline"
        case .advance(.quiet(let seconds)): "\(seconds) s pass in which nothing is due"
        }
    }
}

extension CommandInput: CustomStringConvertible {
    package var description: String {
        let what: String =
            switch action {
            case .arm(let request): request.words
            case .disarm: "disarm"
            case .skipExit: "skip exit"
            case .quickExit: "quick exit"
            case .silence: "silence"
            }
        let how: String =
            switch credential {
            case .trusted: "trusted"
            case .code(let word): "code “\(word)”"
            case .missing: "no code"
            }
        return "\(what) \(target.words) (\(how), \(source.rawValue))"
    }
}

extension ArmingCommand.ArmRequest {
    fileprivate var words: String {
        var words = "arm \(mode.wireName)"
        if !bypassZones.isEmpty { words += " bypassing \(bypassZones.map(String.init).joined(separator: ", "))" }
        if force { words += " by force" }
        if instant { words += " at once" }
        if noEntryDelay { words += " without entry delay" }
        return words
    }
}

extension ReportInput: CustomStringConvertible {
    package var description: String {
        var words = "report \(state.rawValue) \(target.words)"
        if let mode { words += " mode \(mode.wireName)" }
        if let delaySeconds { words += " delay \(delaySeconds) s" }
        if age != 0 { words += ", \(age) s old" }
        return words
    }
}

extension PartitionTarget {
    fileprivate var words: String {
        switch self {
        case .all: "all"
        case .id(let id): "partition \(id)"
        case .number(let number): "partition \(number)"
        }
    }
}

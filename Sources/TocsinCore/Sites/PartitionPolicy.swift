import TocsinJSON

/// How a partition that Tocsin arms itself behaves where the machine leaves a choice (design, arming: defaults).
package struct PartitionPolicy: Hashable, Sendable {
    /// What an open of a zone off the exit route does to a running exit delay (T11).
    package enum ExitViolation: String, CaseIterable, Sendable {
        case failArming = "fail_arming"
        case ignore
        case alarm
    }

    /// What an exit door that is still open at the end of the exit delay does (T14).
    package enum ExitError: String, CaseIterable, Sendable {
        /// Arms, and starts the entry delay at once.
        case exitError = "exit_error"
        case autoBypass = "auto_bypass"
        case armFailure = "arm_failure"
    }

    /// What a zone whose device is offline does while armed (T44).
    package enum OfflineZone: String, CaseIterable, Sendable {
        case none
        case trouble
        case alarm
    }

    package var exitViolation: ExitViolation = .failArming
    package var exitError: ExitError = .exitError
    /// Whether a second opening of the exit door gives the whole exit delay once more (T10).
    package var exitRestart = true
    /// Whether away becomes stay when nobody left (T13).
    package var stayIfUnvacated = true
    package var offlineZone: OfflineZone = .trouble
    /// How long the siren sounds, in seconds.
    package var bellSeconds = 180
    /// How long an incident waits for a disarm before it is reported, in seconds; none leaves it to the site's profile.
    package var abortWindowSeconds: Int?
    /// How long after its report a disarm cancels an alarm, in seconds.
    package var cancelWindowSeconds = 300
    /// Within what time two independent detectors verify an incident, and two of a cross group make one, in seconds.
    package var crossZoneSeconds = 300
    /// Within what time an intrusion alarm must be verified before it is escalated, in seconds; 0 asks for nothing.
    package var verificationSeconds = 0
    /// How many zones an arming may leave out; none means any number.
    package var bypassLimit: Int?
    /// The names that `custom_mode` may take.
    package var customModes: [String] = []
    /// The numbers of the partitions whose common area this is; empty for an ordinary partition.
    package var commonAreaOf: [Int] = []
    /// When the premises are to be opened and closed; outside of it `arming.exception` tells (T41).
    package var hours: [OpeningHours] = []

    package init() {}

    /// The ranges that hold under any compliance profile.
    package static let bellRange = 0...1800
    package static let abortWindowRange = 0...120
    package static let cancelWindowRange = 0...3600
    package static let crossZoneRange = 10...3600
    /// 0 is off; what is asked for gives somebody time to look.
    package static let verificationRange = 0...AlarmVerification.secondsRange.upperBound
}

/// The windows in which a partition is to be opened (disarmed) and closed (armed), in the site's local time.
package struct OpeningHours: Hashable, Sendable {
    /// Empty means every day.
    package var days: Set<Weekday>
    package var openFrom: TimeOfDay
    package var openTo: TimeOfDay
    package var closeFrom: TimeOfDay
    /// If earlier than `openFrom` it is on the next day.
    package var closeTo: TimeOfDay

    package init(
        days: Set<Weekday>,
        openFrom: TimeOfDay,
        openTo: TimeOfDay,
        closeFrom: TimeOfDay,
        closeTo: TimeOfDay
    ) {
        self.days = days
        self.openFrom = openFrom
        self.openTo = openTo
        self.closeFrom = closeFrom
        self.closeTo = closeTo
    }
}

extension PartitionPolicy {
    /// Reads what ``settings`` wrote, or what the API and the fleet file have checked; absent members are defaults.
    package init(settings: JSONObject) {
        self.init()
        func word<Word: RawRepresentable<String>>(_ name: String) -> Word? {
            settings[name]?.string.flatMap(Word.init(rawValue:))
        }
        exitViolation = word("exit_violation") ?? exitViolation
        exitError = word("exit_error") ?? exitError
        exitRestart = settings["exit_restart"]?.bool ?? exitRestart
        stayIfUnvacated = settings["stay_if_unvacated"]?.bool ?? stayIfUnvacated
        offlineZone = word("offline_zone") ?? offlineZone
        bellSeconds = settings.integer("bell_seconds") ?? bellSeconds
        abortWindowSeconds = settings.integer("abort_window_seconds")
        cancelWindowSeconds = settings.integer("cancel_window_seconds") ?? cancelWindowSeconds
        crossZoneSeconds = settings.integer("cross_zone_seconds") ?? crossZoneSeconds
        verificationSeconds = settings.integer("verification_seconds") ?? verificationSeconds
        bypassLimit = settings.integer("bypass_limit")
        customModes = settings["custom_modes"]?.array?.compactMap(\.string) ?? []
        commonAreaOf = settings.integers("common_area_of") ?? []
        hours = settings["opening_hours"]?.array?.compactMap { $0.object.flatMap(OpeningHours.init) } ?? []
    }

    /// What differs from the defaults, by the names of the wire; the order is fixed.
    package var settings: JSONObject {
        let standard = PartitionPolicy()
        var settings = JSONObject()
        func set<T: Equatable>(_ name: String, _ value: T, _ default: T, _ json: (T) -> JSON) {
            if value != `default` { settings[name] = json(value) }
        }
        set("exit_violation", exitViolation, standard.exitViolation) { .string($0.rawValue) }
        set("exit_error", exitError, standard.exitError) { .string($0.rawValue) }
        set("exit_restart", exitRestart, standard.exitRestart) { .bool($0) }
        set("stay_if_unvacated", stayIfUnvacated, standard.stayIfUnvacated) { .bool($0) }
        set("offline_zone", offlineZone, standard.offlineZone) { .string($0.rawValue) }
        set("bell_seconds", bellSeconds, standard.bellSeconds) { JSON($0) }
        set("abort_window_seconds", abortWindowSeconds, standard.abortWindowSeconds) { $0.map { JSON($0) } ?? .null }
        set("cancel_window_seconds", cancelWindowSeconds, standard.cancelWindowSeconds) { JSON($0) }
        set("cross_zone_seconds", crossZoneSeconds, standard.crossZoneSeconds) { JSON($0) }
        set("verification_seconds", verificationSeconds, standard.verificationSeconds) { JSON($0) }
        set("bypass_limit", bypassLimit, standard.bypassLimit) { $0.map { JSON($0) } ?? .null }
        set("custom_modes", customModes, standard.customModes) { JSON($0) }
        set("common_area_of", commonAreaOf, standard.commonAreaOf) { .array($0.map { JSON($0) }) }
        set("opening_hours", hours, standard.hours) { .array($0.map { .object($0.json) }) }
        return settings
    }
}

extension OpeningHours {
    /// Reads `{"days":[…],"open_from","open_to","close_from","close_to"}`, times as `HH:MM`.
    package init?(_ json: JSONObject) {
        func time(_ name: String) -> TimeOfDay? { json[name]?.string.flatMap(TimeOfDay.init) }
        guard let openFrom = time("open_from"), let openTo = time("open_to"), let closeFrom = time("close_from"),
            let closeTo = time("close_to")
        else { return nil }
        self.init(
            days: json.words("days") ?? [],
            openFrom: openFrom,
            openTo: openTo,
            closeFrom: closeFrom,
            closeTo: closeTo
        )
    }

    package var json: JSONObject {
        [
            "days": JSON(Weekday.allCases.filter(days.contains).map(\.rawValue)),
            "open_from": .string(openFrom.text), "open_to": .string(openTo.text),
            "close_from": .string(closeFrom.text), "close_to": .string(closeTo.text),
        ]
    }
}

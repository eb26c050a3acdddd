import TocsinJSON

// The stored form of relays that are on; a site whose relays are off has none of it.

extension RelayState {
    func write(to writer: inout JSONWriter) {
        writer.member("since", since.millisecondsSinceEpoch)
        writer.member("until", until.millisecondsSinceEpoch)
        switch trigger {
        case .alarm(.incident(let id)): writer.member("incident", id.value)
        case .alarm(.existing(let number)): writer.member("alarm", number.value)
        case .schedule(let id): writer.member("schedule", id.text)
        case .manual(let caller): writer.member("manual", caller)
        }
    }

    init(_ json: JSONObject) throws {
        let trigger: RelayTrigger
        if let incident = json["incident"]?.integer {
            trigger = .alarm(.incident(IncidentID(incident)))
        } else if let number = json["alarm"]?.integer {
            trigger = .alarm(.existing(AlarmNumber(number)))
        } else if let schedule = json["schedule"]?.string {
            trigger = .schedule(ScheduleID(stored: schedule))
        } else {
            trigger = .manual(json["manual"]?.string ?? "")
        }
        self.init(since: try json.instant("since"), until: try json.instant("until"), trigger: trigger)
    }
}

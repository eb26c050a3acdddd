import TocsinJSON

// The stored form of relays that are on and of alarms that were raised by request; most sites have none of it.

extension RaisedAlarm {
    func write(to writer: inout JSONWriter) {
        writer.member("incident", incident.value)
        writer.member("partition", partitionID.text)
        writer.member("class", alarmClass.rawValue)
        if isSilent { writer.member("silent", true) }
    }

    init(_ json: JSONObject) throws {
        guard let partition = json["partition"]?.string,
            let alarmClass = json["class"]?.string.flatMap(AlarmClass.init(rawValue:))
        else { throw SnapshotError(description: "an alarm that was raised at a site cannot be read") }
        self.init(
            incident: IncidentID(try json.number("incident")),
            partitionID: PartitionID(stored: partition),
            alarmClass: alarmClass,
            isSilent: json["silent"]?.bool ?? false
        )
    }
}

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

import TocsinJSON

// What of an alarm the ledger keeps beside the columns that it searches by.

extension Alarm {
    /// What has become known of it, as compact JSON; absent members are what is not so.
    package var facts: JSONObject {
        var facts = JSONObject()
        facts["zones"] = zones.isEmpty ? nil : .array(zones.map { .array([JSON($0.number), .string($0.name)]) })
        facts["late"] = isLate ? true : nil
        facts["verified"] = isVerified ? true : nil
        facts["acknowledged"] = acknowledged?.json
        facts["reason"] = reason.map(JSON.string)
        facts["dispatched"] = dispatched?.json
        facts["dispatch"] = dispatch.map { .object($0.json) }
        facts["resolved"] = resolved?.json
        facts["resolution"] = resolution.map { .string($0.rawValue) }
        facts["notes"] = notes.map(JSON.string)
        facts["escalated"] = escalated?.json
        facts["escalation_reason"] = escalationReason.map(JSON.string)
        facts["verification"] = verification?.stored
        return facts
    }

    /// Reads an alarm that was stored: what the ledger keeps in columns, and what ``facts`` was.
    package init(
        stored draft: AlarmDraft,
        dealerID: DealerID,
        siteID: SiteID,
        number: AlarmNumber,
        state: AlarmState,
        version: Int64,
        createdAt: Instant,
        facts: JSONObject
    ) throws {
        var draft = draft
        draft.isLate = facts["late"]?.bool ?? false
        draft.isVerified = facts["verified"]?.bool ?? false
        draft.zones = facts["zones"]?.array?.compactMap(AlarmActivity.Zone.init) ?? []
        self.init(draft, dealerID: dealerID, siteID: siteID, createdAt: createdAt)
        self.number = number
        self.state = state
        self.version = version
        acknowledged = try AlarmMark(facts["acknowledged"])
        reason = facts["reason"]?.string
        dispatched = try AlarmMark(facts["dispatched"])
        dispatch = facts["dispatch"]?.object.flatMap(AlarmDispatch.init)
        resolved = try AlarmMark(facts["resolved"])
        resolution = facts["resolution"]?.string.flatMap(AlarmResolution.init(rawValue:))
        notes = facts["notes"]?.string
        escalated = try AlarmMark(facts["escalated"])
        escalationReason = facts["escalation_reason"]?.string
        verification = try facts["verification"]?.object.map(AlarmVerification.init(stored:))
    }
}

extension AlarmActivity.Zone {
    fileprivate init?(_ json: JSON) {
        guard let parts = json.array, parts.count == 2, let number = parts[0].integer, let name = parts[1].string else {
            return nil
        }
        self.init(number: Int(clamping: number), name: name)
    }
}

extension AlarmMark {
    fileprivate var json: JSON {
        [
            "kind": .string(by.kind.rawValue), "id": .string(by.id), "at": .integer(at.millisecondsSinceEpoch),
        ]
    }

    fileprivate init?(_ json: JSON?) throws {
        guard let object = json?.object else { return nil }
        guard let kind = object["kind"]?.string.flatMap(AuditEntry.Actor.Kind.init(rawValue:)) else {
            throw SnapshotError(description: "who changed an alarm cannot be read")
        }
        self.init(by: AuditEntry.Actor(kind, object["id"]?.string ?? ""), at: try object.instant("at"))
    }
}

extension AlarmDispatch {
    fileprivate init?(_ json: JSONObject) {
        guard let id = json["responder_id"]?.string, let type = json["responder_type"]?.string,
            let eta = json["eta_seconds"]?.integer
        else { return nil }
        self.init(
            responderID: id,
            responderType: type,
            etaSeconds: Int(clamping: eta),
            trackingURL: json["tracking_url"]?.string
        )
    }
}

extension AlarmVerification {
    fileprivate var stored: JSON {
        var object: JSONObject = [
            "requested": requested.json, "by": .string(requestedBy),
            "deadline": .integer(deadline.millisecondsSinceEpoch),
        ]
        switch outcome {
        case nil: break
        case .answered(let verdict, let mark, let notes):
            object["verdict"] = .string(verdict.rawValue)
            object["answered"] = mark.json
            object["notes"] = notes.map(JSON.string)
        case .expired(let at): object["expired"] = .integer(at.millisecondsSinceEpoch)
        case .dropped(let at): object["dropped"] = .integer(at.millisecondsSinceEpoch)
        }
        return .object(object)
    }

    fileprivate init(stored json: JSONObject) throws {
        guard let requested = try AlarmMark(json["requested"]) else {
            throw SnapshotError(description: "an alarm's verification names nobody who asked")
        }
        self.init(
            requested: requested,
            requestedBy: json["by"]?.string ?? "",
            deadline: try json.instant("deadline")
        )
        if let verdict = json["verdict"]?.string.flatMap(AlarmVerdict.init(rawValue:)),
            let mark = try AlarmMark(json["answered"])
        {
            outcome = .answered(verdict, mark, notes: json["notes"]?.string)
        } else if let at = json.optionalInstant("expired") {
            outcome = .expired(at)
        } else if let at = json.optionalInstant("dropped") {
            outcome = .dropped(at)
        }
    }
}

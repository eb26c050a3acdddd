import TocsinCore
import TocsinJSON

/// A change with the event that tells it, as audit entries and `GET …/arming/history` show it (decisions §13).
struct ToldChange {
    let change: PartitionChange
    let event: EventID?

    init(_ change: PartitionChange, event: EventID?) {
        self.change = change
        self.event = event
    }

    var json: JSON {
        var person = JSONObject()
        person["user_id"] = change.by.userID.map(JSON.string)
        person["name"] = change.by.name.map(JSON.string)
        person["method"] = .string(change.by.source.rawValue)
        var object: JSONObject = [
            "at": .string(change.at.rfc3339Milliseconds),
            "partition_id": .string(change.partitionID.text),
            "state": .string(change.state),
            "previous_state": .string(change.previousState),
            "by": .object(person),
            "source": .string(change.by.source.rawValue),
            "cause": .string(change.cause),
            "explanation": .string(change.explanation),
        ]
        object["event_id"] = event.map { .string($0.text) }
        return .object(object)
    }

    /// The same text as ``json`` has.
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("at", change.at.rfc3339Milliseconds)
            writer.member("partition_id", change.partitionID.text)
            writer.member("state", change.state)
            writer.member("previous_state", change.previousState)
            writer.name("by")
            writer.object { writer in
                writer.member("user_id", ifPresent: change.by.userID)
                writer.member("name", ifPresent: change.by.name)
                writer.member("method", change.by.source.rawValue)
            }
            writer.member("source", change.by.source.rawValue)
            writer.member("cause", change.cause)
            writer.member("explanation", change.explanation)
            writer.member("event_id", ifPresent: event?.text)
        }
    }
}

extension ReportCommand {
    /// What was reported, as the audit log keeps it of a report that was refused.
    var details: [UInt8] {
        var writer = JSONWriter(reserving: 256)
        writer.object { writeFacts(to: &$0) }
        return writer.bytes
    }

    /// What was reported and what it did to each partition: written at once, because every report has it.
    func details(_ answers: [PartitionAnswer], _ changes: [ToldChange]) -> [UInt8] {
        var writer = JSONWriter(reserving: 768)
        writer.object { writer in
            writeFacts(to: &writer)
            writer.name("partitions")
            writer.array { writer in
                for answer in answers { writer.object { answer.writeOutcome(to: &$0) } }
            }
            if changes.isEmpty { return }
            writer.name("changes")
            writer.array { writer in
                for change in changes { change.write(to: &writer) }
            }
        }
        return writer.bytes
    }

    private func writeFacts(to writer: inout JSONWriter) {
        writer.member("state", report.state.rawValue)
        writer.member("timestamp", report.timestamp.rfc3339Milliseconds)
        writer.member("source", report.source.rawValue)
        writer.member("user_id", ifPresent: report.userID)
        writer.member("report_id", ifPresent: report.reportID)
        if let delay = report.delaySeconds { writer.member("delay_seconds", delay) }
        writer.member("reason", ifPresent: report.reason)
    }
}

extension PartitionAnswer {
    fileprivate func writeOutcome(to writer: inout JSONWriter) {
        writer.member("partition_id", partitionID.text)
        writer.member("state", state)
        writer.member("previous_state", previousState)
        writer.member("applied", applied)
        writer.member("reason", ifPresent: reason?.rawValue)
    }
}

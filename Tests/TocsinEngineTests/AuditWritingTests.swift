import Testing
import TocsinJSON

@testable import TocsinCore
@testable import TocsinEngine

/// What is written at once has the bytes that the tree of its values would have.
@Suite struct AuditWritingTests {
    private static let texts: [String?] = [
        nil, "", "user_1", "a \"quoted\" \\ text\nwith é🚪", String(repeating: "x", count: 70),
    ]

    private func changes() -> [ToldChange] {
        var changes: [ToldChange] = []
        for user in Self.texts {
            for name in Self.texts {
                let change = PartitionChange(
                    partitionID: PartitionID(stored: "p_1"),
                    at: Instant(millisecondsSinceEpoch: 1_795_302_469_625),
                    state: "armed_away",
                    previousState: "disarmed",
                    by: Attribution(userID: user, name: name, source: .keypad),
                    cause: "report",
                    explanation: name ?? "because"
                )
                changes.append(ToldChange(change, event: user == nil ? nil : EventID(stored: "evt_1")))
            }
        }
        return changes
    }

    private func answers() -> [PartitionAnswer] {
        [nil, PartitionAnswer.Reason.superseded, .duplicate].map { reason in
            PartitionAnswer(
                partitionID: PartitionID(stored: "p_\"2"),
                state: "disarmed",
                previousState: "entry_delay",
                applied: reason == nil,
                reason: reason,
                version: 7,
                explanation: "why"
            )
        }
    }

    private func command(_ text: String?, delay: Int?) -> ReportCommand {
        ReportCommand(
            siteID: SiteID(stored: "site_1"),
            partnerID: PartnerID(stored: "prt_1"),
            report: ArmingReport(
                state: .armedAway,
                target: .all,
                timestamp: Instant(millisecondsSinceEpoch: 1_795_302_469_007),
                userID: text,
                source: .keypad,
                delaySeconds: delay,
                reason: text,
                reportID: text
            ),
            receivedAt: Instant(millisecondsSinceEpoch: 1_795_302_470_000),
            requestID: "req_1"
        )
    }

    /// The members as they would be put together one by one.
    private func tree(_ command: ReportCommand, _ answers: [PartitionAnswer], _ changes: [ToldChange]) -> JSONObject {
        let report = command.report
        var object: JSONObject = [
            "state": .string(report.state.rawValue),
            "timestamp": .string(report.timestamp.rfc3339Milliseconds),
            "source": .string(report.source.rawValue),
        ]
        object["user_id"] = report.userID.map(JSON.string)
        object["report_id"] = report.reportID.map(JSON.string)
        object["delay_seconds"] = report.delaySeconds.map { JSON($0) }
        object["reason"] = report.reason.map(JSON.string)
        object["partitions"] = .array(
            answers.map { answer in
                var outcome: JSONObject = [
                    "partition_id": .string(answer.partitionID.text),
                    "state": .string(answer.state),
                    "previous_state": .string(answer.previousState),
                    "applied": .bool(answer.applied),
                ]
                outcome["reason"] = answer.reason.map { .string($0.rawValue) }
                return .object(outcome)
            }
        )
        if !changes.isEmpty { object["changes"] = .array(changes.map(\.json)) }
        return object
    }

    @Test func `a report's details are written as their values would be`() throws {
        for text in Self.texts {
            for delay in [nil, 0, 3600] as [Int?] {
                for told in [[], changes()] {
                    let command = command(text, delay: delay)
                    let expected = tree(command, answers(), told)
                    let written = AuditDetails(written: command.details(answers(), told))
                    #expect(written.bytes == JSON.object(expected).bytes)
                    #expect(written == AuditDetails(expected))
                    #expect(written["state"] == .string("armed_away"))
                }
                var facts = tree(command(text, delay: delay), [], [])
                facts["partitions"] = nil
                #expect(command(text, delay: delay).details == JSON.object(facts).bytes)
            }
        }
    }

    @Test func `details that are written can be added to`() throws {
        var details = AuditDetails(written: command(nil, delay: nil).details)
        details["refusals_not_written"] = 3
        #expect(details.members.names == ["state", "timestamp", "source", "refusals_not_written"])
        #expect(!details.isEmpty)
        #expect(AuditDetails([:]).isEmpty)
        #expect(AuditDetails([:]).bytes == nil)
    }
}

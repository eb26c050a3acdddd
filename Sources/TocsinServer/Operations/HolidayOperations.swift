import HTTPTypes
import TocsinCore
import TocsinJSON
import TocsinLedger

/// A dealer's holidays, on which the weekly schedules of its sites rest (design, arming: schedules).
enum HolidayOperations {
    static let all = [get, put]

    private static let schema = Schema.object([
        .required(
            "holidays",
            .array(
                of: .object([
                    .required("date", Schema.string(10...10, format: "date").example("2026-12-25")),
                    .required("name", .name),
                ]),
                count: 0...Holiday.maximumPerDealer
            )
        )
    ]).named("Holidays")

    private static func json(_ holidays: [Holiday]) -> JSON { ["holidays": .array(holidays.map(\.json))] }

    private static let get = Operation(
        .get,
        "/v1/dealers/{dealer_id}/holidays",
        id: "getHolidays",
        tag: .dealers,
        summary: "Get a dealer's holidays, by date",
        callers: .holding(.sitesRead),
        replies: [.ok("All of them.", schema)],
        errors: [.dealerNotFound],
        handle: { call in
            let id = try dealerID(call), reach = try call.reach
            return .ok(
                json(
                    try await call.read { reader in
                        try check(reader.dealer(id, within: reach))
                        return try reader.holidays(of: id)
                    }
                )
            )
        }
    )

    private static let put = Operation(
        .put,
        "/v1/dealers/{dealer_id}/holidays",
        id: "putHolidays",
        tag: .dealers,
        summary: "Set all of a dealer's holidays",
        notes: "What is not named is no holiday any more. The schedules of all the dealer's sites follow at once.",
        callers: Callers.holding(.sitesWrite).withoutPartners,
        body: .json(schema),
        replies: [.ok("The holidays as they are now.", schema)],
        errors: [.dealerNotFound],
        handle: { call in
            let id = try dealerID(call), reach = try call.reach
            let holidays = try holidays(call.body)
            return try await call.commit { transaction in
                try check(transaction.dealer(id, within: reach))
                try transaction.setHolidays(holidays, of: id)
                return Change(
                    .ok(json(try transaction.holidays(of: id))),
                    action: "dealer.set_holidays",
                    dealerID: id,
                    target: id.text,
                    explanation: "The dealer has \(holidays.count) holidays now."
                )
            }
        }
    )

    // MARK: Parts

    private static func dealerID(_ call: Call) throws -> DealerID { try call.id("dealer_id", orThrow: .dealerNotFound) }

    private static func check(_ dealer: Dealer?) throws {
        if dealer == nil { throw APIError.missing(.dealerNotFound) }
    }

    private static func holidays(_ body: Fields) throws -> [Holiday] {
        var dates: Set<CivilDate> = []
        return try (body.list("holidays") ?? []).map { fields in
            guard let holiday = Holiday(.object(fields.object)) else {
                throw APIError.invalid(fields.path("date"), "must be a date that exists, like \"2026-12-24\"")
            }
            if !dates.insert(holiday.date).inserted { throw APIError.invalid(fields.path("date"), "occurs twice") }
            return holiday
        }
    }
}

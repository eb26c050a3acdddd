import TocsinJSON

/// A day on which a dealer's sites keep no weekly schedule, unless a schedule says otherwise (design, arming: schedules).
package struct Holiday: Hashable, Sendable {
    /// More than twenty years of them.
    package static let maximumPerDealer = 500

    package var date: CivilDate
    package var name: String

    package init(date: CivilDate, name: String) {
        self.date = date
        self.name = name
    }

    /// Reads `{"date":"2026-12-25","name":"Christmas"}`.
    package init?(_ json: JSON) {
        guard let date = json["date"]?.string.flatMap(CivilDate.init(text:)), let name = json["name"]?.string else {
            return nil
        }
        self.init(date: date, name: name)
    }

    package var json: JSON { ["date": .string(date.text), "name": .string(name)] }
}

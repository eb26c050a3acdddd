import Testing
import TocsinCore

/// What schedules and opening hours do to a site, as the tables in Tables/ tell it.
@Suite struct ScheduleTableTests {
    @Test(arguments: ["schedules", "opening-hours"])
    func `the machine keeps the hours that the table says`(name: String) throws {
        let table = try Table(named: name)

        #expect(!table.cases.isEmpty)
        try ScheduleTableRunner(table).run()
    }
}

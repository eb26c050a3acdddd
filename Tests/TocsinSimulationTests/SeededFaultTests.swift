import Testing
import TocsinSimulation

/// What the explorer is worth: every mistake that is put into the machine on purpose must be found.
struct SeededFaultTests {
    /// As many states as the everyday exploration visits; more would hide how well a fault is seen.
    private static let bound = 1_000

    @Test func `there are enough faults, each with a name of its own`() {
        #expect(SeededFault.all.count >= 25)
        #expect(Set(SeededFault.all.map(\.description)).count == SeededFault.all.count)
    }

    @Test(arguments: SeededFault.all)
    func `the explorer finds a mistake of one rule`(fault: SeededFault) throws {
        var explorer = Explorer(fault.site, bound: Self.bound, fault: fault)
        // A fault lies outside of the machine, so that playing again would show every one of them.
        explorer.repetition = .max
        let found = explorer.run()
        let violation = try #require(found.violation, "\(fault) was not found in \(found.transitions) transitions")
        print(
            "\(fault): \(violation)\n  " + found.path.joined(separator: "\n  ")
                + "\n  (\(found.transitions) transitions)"
        )
    }
}

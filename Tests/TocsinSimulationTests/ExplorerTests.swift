import Foundation
import Testing
import TocsinSimulation

/// The machine over all small sites, breadth first; `tocsin simulate explore` does the same without the bound.
struct ExplorerTests {
    /// A bound for every day; `TOCSIN_EXPLORE_BOUND` sets another.
    private static let bound = ProcessInfo.processInfo.environment["TOCSIN_EXPLORE_BOUND"].flatMap { Int($0) } ?? 500

    @Test(arguments: SimulatedSite.all)
    func `no reachable state of a small site breaks a rule`(site: SimulatedSite) throws {
        var explorer = Explorer(site, bound: Self.bound)
        // Playing again from the stored form costs as much as everything else: here for some, by the program for all.
        explorer.repetition = 4
        let clock = ContinuousClock()
        var result: Exploration?
        let time = clock.measure { result = explorer.run() }
        let found = try #require(result)
        print("\(site.name): \(found.states) states, \(found.transitions) transitions, depth \(found.depth), \(time)")
        if let violation = found.violation {
            Issue.record("\(site.name): \(violation)\n\(found.path.joined(separator: "\n"))")
        }
    }
}

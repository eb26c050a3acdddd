import Testing

@testable import TocsinLab

struct PercentilesTests {
    @Test func `a percentile is the smallest measurement that so many do not exceed`() {
        let percentiles = Percentiles((1...100).map(UInt64.init).reversed())
        #expect(percentiles.at(50) == 50)
        #expect(percentiles.at(99) == 99)
        #expect(percentiles.at(99.5) == 100)
        #expect(percentiles.at(0) == 1)
        #expect(percentiles.maximum == 100)
    }

    @Test func `nothing measured gives nothing`() {
        #expect(Percentiles([]).at(99) == 0)
    }

    @Test func `the median of an even number of runs is the worse of the middle two`() {
        #expect(Runs([4, 1, 3, 2], higherIsBetter: true).median == 2)
        #expect(Runs([4, 1, 3, 2], higherIsBetter: false).median == 3)
        #expect(Runs([3, 1, 2], higherIsBetter: true).median == 2)
        #expect(Runs([3, 1, 2], higherIsBetter: true).worst == 1)
        #expect(Runs([3, 1, 2], higherIsBetter: false).worst == 3)
    }
}

struct FiguresTests {
    @Test(arguments: [
        (0.0, 2, "0.00"), (0.005, 2, "0.01"), (12.0, 0, "12"), (1_234.5, 1, "1,234.5"), (-0.001, 2, "0.00"),
        (-1_234_567.0, 0, "-1,234,567"), (99.999, 2, "100.00"),
    ])
    func `numbers are written for people`(number: Double, places: Int, text: String) {
        #expect(Figures.decimal(number, places: places) == text)
    }

    @Test func `columns are as wide as their widest cell and lines end without blanks`() {
        var table = TextTable([("what", .left), ("n", .right), ("remark", .left)])
        table.add(["a", "1,000"])
        #expect(table.text == "what      n  remark\n────  ─────  ──────\na     1,000\n")
    }
}

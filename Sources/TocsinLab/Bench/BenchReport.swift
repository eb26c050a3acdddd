import TocsinJSON

/// One figure of a benchmark, with what it is held against.
package struct BenchResult: Sendable {
    /// The figure's name in design/performance.
    package var id: String
    package var title: String
    package var unit: String
    package var runs: Runs
    /// What the reference gave in the same run; absent where the figure stands alone.
    package var reference: Double?
    /// What the reference is.
    package var referenceTitle: String?
    /// What is asked for, in words; absent where nothing is.
    package var target: String?
    package var isReached: Bool
    /// How it was counted, and anything that a reader must know beside the figure.
    package var notes: [String]

    package var value: Double { runs.median }

    package var ratio: Double? {
        guard let reference, reference > 0 else { return nil }
        return value / reference
    }

    package var json: JSON {
        var object: JSONObject = ["id": .string(id), "value": number(value), "unit": .string(unit)]
        object["reference"] = reference.map(number)
        object["ratio"] = ratio.map(number)
        object["runs"] = .array(runs.values.map(number))
        return .object(object)
    }

    private func number(_ value: Double) -> JSON {
        .decimal(Figures.decimal(value, places: 3).filter { $0 != "," })
    }
}

/// All results of a call of `bench`.
package struct BenchReport: Sendable {
    package var machine: Machine
    package var results: [BenchResult] = []
    /// Why runs were void: something acknowledged was missing, or a signature was wrong.
    package var problems: [String] = []

    package init(machine: Machine) { self.machine = machine }

    package var isVoid: Bool { !problems.isEmpty }

    /// What `--json` prints.
    package var json: JSON {
        ["results": .array(results.map(\.json)), "machine": machine.json]
    }

    /// What people read.
    package var text: String {
        var table = TextTable([
            ("id", .left), ("what", .left), ("median", .right), ("worst", .right), ("unit", .left),
            ("reference", .right), ("ratio", .right), ("target", .left),
        ])
        for result in results {
            table.add([
                result.id, result.title, figure(result.value), figure(result.runs.worst), result.unit,
                result.reference.map(figure) ?? "–",
                result.ratio.map { Figures.decimal($0, places: 3) } ?? "–",
                result.target.map { "\($0)\(result.isReached ? " ✓" : " ✗")" } ?? "–",
            ])
        }
        let notes = results.flatMap { result in result.notes.map { "\(result.id): \($0)\n" } }.joined()
        let void = problems.map { "VOID: \($0)\n" }.joined()
        return "\(machine.summary)\n\n\(table.text)\n\(notes)\(void)"
    }

    private func figure(_ value: Double) -> String {
        Figures.decimal(value, places: value < 100 ? 2 : 0)
    }
}

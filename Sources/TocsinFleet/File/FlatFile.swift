import Yams

/// A YAML or JSON file of settings: one mapping, no structure below its members.
package enum FlatFile {
    /// Larger than any file of settings.
    package static let maximumBytes = 1 << 20

    /// Checks that every member is known; the settings' values are read by another reader.
    ///
    /// - Throws: ``FleetError`` that tells every unknown member with its line.
    package static func check(_ text: [UInt8], named name: String, known: [String]) throws(FleetError) {
        guard text.count <= maximumBytes else {
            throw FleetError(.malformed, "\(name) has \(text.count) bytes, and \(maximumBytes) are the limit")
        }
        let root = try FleetText.compose(text, named: name)
        var reader = MemberReader()
        _ = reader.members(root, at: Place(line: 1, path: ""), required: [], optional: known)
        if let error = reader.problems.error(named: name) { throw error }
    }
}

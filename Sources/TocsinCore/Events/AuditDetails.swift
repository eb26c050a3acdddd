import TocsinJSON

/// What else an audit entry tells: members, or the JSON text of them where it was written at once.
///
/// What comes most often is written without a tree of values in between; the two forms of the same members are equal.
package struct AuditDetails: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    private enum Form: Sendable {
        case members(JSONObject)
        case written([UInt8])
    }

    private var form: Form

    package init(_ members: JSONObject) { form = .members(members) }

    /// Takes the text of an object.
    package init(written: [UInt8]) { form = .written(written) }

    package init(dictionaryLiteral elements: (String, JSON)...) {
        var members = JSONObject()
        for (name, value) in elements { members[name] = value }
        self.init(members)
    }

    package var members: JSONObject {
        switch form {
        case .members(let members): members
        case .written(let bytes): (try? JSONParser.parse(bytes))?.object ?? [:]
        }
    }

    /// The compact JSON text; none where there is nothing to tell.
    package var bytes: [UInt8]? {
        switch form {
        case .members(let members): members.isEmpty ? nil : JSON.object(members).bytes
        case .written(let bytes): bytes
        }
    }

    package var isEmpty: Bool {
        switch form {
        case .members(let members): members.isEmpty
        case .written: members.isEmpty
        }
    }

    package subscript(_ name: String) -> JSON? {
        get { members[name] }
        set {
            var members = members
            members[name] = newValue
            form = .members(members)
        }
    }

    package static func == (a: AuditDetails, b: AuditDetails) -> Bool { a.members == b.members }

    package func hash(into hasher: inout Hasher) { hasher.combine(members) }
}

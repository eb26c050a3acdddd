import TocsinCore
import TocsinJSON

/// Reads the members of a request's object that its schema has already checked.
///
/// A member that the schema does not guarantee is an error of ours, not of the caller's: it is thrown as such.
package struct Fields: Sendable {
    package let object: JSONObject
    /// Where the object stands in the body; empty for the body itself.
    private let prefix: String

    package init(_ object: JSONObject, at prefix: String = "") {
        self.object = object
        self.prefix = prefix
    }

    /// The full name of a member, for an error that tells where it is.
    package func path(_ name: String) -> String { prefix.isEmpty ? name : "\(prefix).\(name)" }

    /// Whether the member is there, null or not: a patch changes what it names.
    package func has(_ name: String) -> Bool { object[name] != nil }

    package func string(_ name: String) throws -> String { try required(name, object[name]?.string) }
    package func optionalString(_ name: String) -> String? { object[name]?.string }
    package func integer(_ name: String) throws -> Int { try required(name, optionalInteger(name)) }
    package func optionalInteger(_ name: String) -> Int? { object[name]?.integer.map(Int.init) }
    package func optionalBool(_ name: String) -> Bool? { object[name]?.bool }

    package func optionalNumber(_ name: String) -> Double? { object[name]?.number }

    package func strings(_ name: String) -> [String]? { object[name]?.array?.compactMap(\.string) }

    /// A member that is an object.
    package func fields(_ name: String) -> Fields? {
        object[name]?.object.map { Fields($0, at: path(name)) }
    }

    /// A member that is an array of objects.
    package func list(_ name: String) -> [Fields]? {
        object[name]?.array?.enumerated().compactMap { index, element in
            element.object.map { Fields($0, at: "\(path(name))[\(index)]") }
        }
    }

    /// One of an enum's raw values.
    package func value<Value: RawRepresentable>(_ name: String, _: Value.Type = Value.self) throws -> Value
    where Value.RawValue == String {
        try required(name, optionalValue(name))
    }

    package func optionalValue<Value: RawRepresentable>(_ name: String, _: Value.Type = Value.self) -> Value?
    where Value.RawValue == String {
        object[name]?.string.flatMap(Value.init(rawValue:))
    }

    private func required<Value>(_ name: String, _ value: Value?) throws -> Value {
        guard let value else { throw UncheckedFieldError(field: path(name)) }
        return value
    }
}

/// A handler asked for a member that its operation's schema does not guarantee.
package struct UncheckedFieldError: Error, Sendable, CustomStringConvertible {
    package var field: String
    package var description: String { "the schema does not guarantee the member \"\(field)\"" }
}

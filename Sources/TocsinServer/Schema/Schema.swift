import TocsinJSON

/// The form of a JSON value: a subset of JSON Schema 2020-12 that both documents a value and checks it.
///
/// The same value is printed into `/openapi.json` and applied to request bodies, so that what is documented is what is
/// enforced.
package struct Schema: Sendable {
    package indirect enum Kind: Sendable {
        case any
        case boolean
        case integer(ClosedRange<Int64>)
        /// A number that may have a fraction.
        case number(ClosedRange<Double>)
        case string(TextRule)
        case array(of: Schema, count: ClosedRange<Int>)
        case object([Property])
        /// An object with free names and values of one form.
        case map(of: Schema, atMost: Int)
        /// At least one of them fits.
        case anyOf([Schema])
    }

    /// What a string may be.
    package struct TextRule: Sendable {
        /// In Unicode scalars, as JSON Schema counts.
        package var length: ClosedRange<Int>
        /// The only values that are allowed; empty allows all.
        package var values: [String] = []
        /// Whether `values` are compared without regard to the case of ASCII letters.
        package var ignoresCase = false
        /// JSON Schema's `format`, for readers only; what enforces it is the handler.
        package var format: String?
    }

    package struct Property: Sendable {
        package var name: String
        package var schema: Schema
        package var isRequired: Bool

        package static func required(_ name: String, _ schema: Schema) -> Property {
            Property(name: name, schema: schema, isRequired: true)
        }

        package static func optional(_ name: String, _ schema: Schema) -> Property {
            Property(name: name, schema: schema, isRequired: false)
        }
    }

    package var kind: Kind
    package var description: String?
    /// The name under which the document shows it once, in `components/schemas`.
    package var name: String?
    package var isNullable = false
    package var example: JSON?
    package var isWriteOnly = false

    private init(_ kind: Kind) { self.kind = kind }
}

// MARK: - Making schemas

extension Schema {
    /// Longer than any text that a person types into one of our fields.
    package static let textLengthMax = 500
    /// More elements than any list of ours has.
    package static let arrayCountMax = 1000

    package static let any = Schema(.any)
    package static let boolean = Schema(.boolean)

    package static func integer(_ range: ClosedRange<Int64>) -> Schema { Schema(.integer(range)) }

    package static func number(_ range: ClosedRange<Double>) -> Schema { Schema(.number(range)) }

    /// A count or a version: not negative.
    package static let count = Schema.integer(0...Int64.max)

    package static func string(_ length: ClosedRange<Int> = 0...Schema.textLengthMax, format: String? = nil) -> Schema {
        Schema(.string(TextRule(length: length, format: format)))
    }

    /// A name that a person gives: not empty.
    package static let name = Schema.string(1...200)

    /// An id of ours; whether it exists is the handler's to find out.
    package static func id(_ prefix: String) -> Schema {
        Schema.string(1...64).described("An opaque id that begins with `\(prefix)`.")
    }

    /// A time in UTC, as RFC 3339 writes it.
    package static let time = Schema.string(1...64, format: "date-time")

    package static func oneOf(_ values: [String], ignoringCase: Bool = false) -> Schema {
        Schema(.string(TextRule(length: 0...64, values: values, ignoresCase: ignoringCase)))
    }

    /// One of an enum's raw values.
    package static func oneOf<Value>(_: Value.Type) -> Schema
    where Value: CaseIterable & RawRepresentable, Value.RawValue == String {
        oneOf(Value.allCases.map(\.rawValue))
    }

    package static func array(of element: Schema, count: ClosedRange<Int> = 0...Schema.arrayCountMax) -> Schema {
        Schema(.array(of: element, count: count))
    }

    package static func object(_ properties: [Property]) -> Schema { Schema(.object(properties)) }

    package static func map(of value: Schema, atMost count: Int) -> Schema { Schema(.map(of: value, atMost: count)) }

    package static func anyOf(_ schemas: [Schema]) -> Schema { Schema(.anyOf(schemas)) }

    /// A page of a list (decisions §1).
    package static func page(of item: Schema) -> Schema {
        .object([
            .required("data", .array(of: item, count: 0...200)),
            .required("next_cursor", Schema.string(0...1000).nullable),
        ])
    }

    package func described(_ text: String) -> Schema {
        var copy = self
        copy.description = text
        return copy
    }

    /// Shows the schema in `components/schemas` under this name, wherever it is used.
    package func named(_ name: String) -> Schema {
        var copy = self
        copy.name = name
        return copy
    }

    package var nullable: Schema {
        var copy = self
        copy.isNullable = true
        return copy
    }

    /// Accepted, never shown again.
    package var writeOnly: Schema {
        var copy = self
        copy.isWriteOnly = true
        return copy
    }

    package func example(_ value: JSON) -> Schema {
        var copy = self
        copy.example = value
        return copy
    }
}

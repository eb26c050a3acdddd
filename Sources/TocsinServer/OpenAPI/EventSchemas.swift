import TocsinCore
import TocsinJSON

extension EventCatalog.Entry {
    /// The form of the body as it is delivered and listed: the catalogue's envelope, or the arming document's flat one.
    var schema: Schema { Schema.object(body.map(Schema.Property.init)).described(summary).named(schemaName) }

    /// `ArmingStateChangedEvent` for `arming.state_changed`.
    private var schemaName: String {
        let words = type.rawValue.split { $0 == "." || $0 == "_" }
        return words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined() + "Event"
    }
}

extension EventType {
    /// The form of its body, as ``EventCatalog`` tells it.
    var bodySchema: Schema { EventCatalog.Entry(self).schema }
}

extension Schema.Property {
    /// A member of an event, documented with its example.
    fileprivate init(_ field: EventField) {
        var schema = Schema(field.form)
        schema.description = [field.summary, schema.description].compactMap(\.self).joined(separator: " ")
        // An object shows the examples of its members.
        if case .object = field.form {} else { schema.example = field.example }
        self.init(name: field.name, schema: schema, isRequired: field.isRequired)
    }
}

extension Schema {
    /// Longer than any text of an event: sentences, notes, reasons.
    private static let eventTextLengthMax = 2000

    /// The form of a member of an event.
    fileprivate init(_ form: EventForm) {
        switch form {
        case .id(let prefix): self = .id(prefix)
        case .alarmNumber: self = .string(3...24)
        case .words(let words): self = .oneOf(words)
        case .text: self = .string(0...Self.eventTextLengthMax)
        case .url: self = .string(1...Self.eventTextLengthMax, format: "uri")
        case .time: self = .time
        case .boolean: self = .boolean
        case .whole(let range): self = .integer(range)
        case .number(let range): self = .number(range)
        case .list(let element): self = .array(of: Schema(element))
        case .object(let fields): self = .object(fields.map(Property.init))
        }
    }
}

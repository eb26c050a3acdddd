import TocsinJSON

/// A member of a body: how it is told, and how it is written; the one place that says either.
package struct EventMember<Body: Sendable>: Sendable {
    package let field: EventField
    /// Writes name and value, or nothing where the fact does not exist.
    let write: @Sendable (Body, EventPlace, inout JSONWriter) -> Void

    /// A member that is always there.
    static func required<Value: EventValue>(
        _ name: String,
        _ summary: String,
        form: EventForm = Value.form,
        example: JSON? = nil,
        value: @escaping @Sendable (Body) -> Value
    ) -> EventMember {
        let field = EventField(name: name, form: form, isRequired: true, summary: summary, example: example)
        let name = JSONName(name)
        return EventMember(field: field) { body, place, writer in
            writer.name(name)
            value(body).write(at: place, to: &writer)
        }
    }

    /// A member that is left out where `value` is nil.
    static func optional<Value: EventValue>(
        _ name: String,
        _ summary: String,
        form: EventForm = Value.form,
        example: JSON? = nil,
        value: @escaping @Sendable (Body) -> Value?
    ) -> EventMember {
        let field = EventField(name: name, form: form, isRequired: false, summary: summary, example: example)
        let name = JSONName(name)
        return EventMember(field: field) { body, place, writer in
            guard let value = value(body) else { return }
            writer.name(name)
            value.write(at: place, to: &writer)
        }
    }

    /// A member that only the commit knows.
    static func placed<Value: EventValue>(
        _ name: String,
        _ summary: String,
        example: JSON,
        value: @escaping @Sendable (EventPlace) -> Value
    ) -> EventMember {
        let field = EventField(name: name, form: Value.form, isRequired: true, summary: summary, example: example)
        let name = JSONName(name)
        return EventMember(field: field) { _, place, writer in
            writer.name(name)
            value(place).write(at: place, to: &writer)
        }
    }
}

/// What an event says, with its members in the order in which they stand on the wire (decisions §8).
///
/// Encoder, schema, example and documents are all made of the one table.
package protocol EventPayload: EventValue, Sendable {
    static var members: [EventMember<Self>] { get }
}

extension EventPayload {
    package static var fields: [EventField] { members.map(\.field) }
    package static var form: EventForm { .object(fields) }

    package func write(at place: EventPlace, to writer: inout JSONWriter) {
        writer.object { writer in writer.members(Self.members, of: self, at: place) }
    }
}

extension JSONWriter {
    /// Writes members one after the other.
    mutating func members<Body>(_ members: [EventMember<Body>], of body: Body, at place: EventPlace) {
        // By index, because a loop over elements would copy each with all that tells of it.
        for index in members.indices { members[index].write(body, place, &self) }
    }
}

/// A value that a body may hold.
package protocol EventValue: SendableMetatype {
    /// The form that it has where a member does not say it more closely.
    static var form: EventForm { get }
    func write(at place: EventPlace, to writer: inout JSONWriter)
}

extension ID: EventValue {
    package static var form: EventForm { .id(prefix: Noun.prefix) }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.string(text) }
}

extension String: EventValue {
    package static var form: EventForm { .text }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.string(self) }
}

extension Bool: EventValue {
    package static var form: EventForm { .boolean }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.bool(self) }
}

extension Int: EventValue {
    package static var form: EventForm { .count }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.integer(Int64(self)) }
}

extension Int64: EventValue {
    package static var form: EventForm { .count }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.integer(self) }
}

/// A share, from 0 to 1.
extension Double: EventValue {
    package static var form: EventForm { .number(0...1) }

    package func write(at place: EventPlace, to writer: inout JSONWriter) {
        // What is no number has no form in JSON; the bounds are the form's.
        writer.verbatim((isNaN ? 0 : min(max(self, 0), 1)).description.utf8)
    }
}

/// Bodies have whole seconds, rounded down (decisions §1).
extension Instant: EventValue {
    package static var form: EventForm { .time }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.string(rfc3339Seconds) }
}

extension Array: EventValue where Element: EventValue {
    package static var form: EventForm { .list(of: Element.form) }

    package func write(at place: EventPlace, to writer: inout JSONWriter) {
        writer.array { writer in
            for element in self { element.write(at: place, to: &writer) }
        }
    }
}

extension AlarmReference: EventValue {
    package static var form: EventForm { .alarmNumber }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.string(place.text(of: self)) }
}

extension EventValue where Self: CaseIterable & RawRepresentable, RawValue == String {
    package static var form: EventForm { .words(allCases.map(\.rawValue)) }
    package func write(at place: EventPlace, to writer: inout JSONWriter) { writer.string(rawValue) }
}

extension EventType: EventValue {}
extension Source: EventValue {}
extension AlarmPriority: EventValue {}
extension AlarmResolution: EventValue {}
extension ArmingException.Kind: EventValue {}

import TocsinJSON

/// The form that a value of an event's body has on the wire.
package indirect enum EventForm: Hashable, Sendable {
    /// An opaque id that begins with the prefix.
    case id(prefix: String)
    /// An alarm's number within its dealer, `A-10293`.
    case alarmNumber
    /// One of these words.
    case words([String])
    case text
    case url
    /// RFC 3339 in UTC.
    case time
    case boolean
    case whole(ClosedRange<Int64>)
    /// A number that may have a fraction.
    case number(ClosedRange<Double>)
    case list(of: EventForm)
    case object([EventField])

    /// A whole number that is not negative.
    package static let count = EventForm.whole(0...Int64.max)
}

/// A member of an event's body, as schemas and documents tell it.
package struct EventField: Hashable, Sendable {
    package var name: String
    package var form: EventForm
    /// Whether it is always there; a member whose fact does not exist is left out, never null (decisions §8).
    package var isRequired: Bool
    /// What it says, in one sentence.
    package var summary: String
    /// The value in the event's example; a member without one is not part of the example.
    package var example: JSON?
}

extension [EventField] {
    /// The members that have an example, with it.
    package var example: JSON {
        var object = JSONObject()
        for field in self { object[field.name] = field.example }
        return .object(object)
    }
}

import TocsinJSON

extension EventCatalog {
    /// `docs/events.md`: the catalogue as a page to read, in Markdown.
    package static var page: String {
        let parts = [Page.introduction, Page.contents, Page.delivery] + EventFamily.allCases.map(Page.chapter)
        return parts.joined(separator: "\n\n") + "\n"
    }
}

/// Puts the catalogue into words.
private enum Page {
    static let introduction = """
        # Event catalogue

        Every event that Tocsin tells: \(EventType.allCases.count) types. For each: when it is told, the scope that its \
        receiver's app must hold, its members, and a body as it comes. How to receive them is in \
        [webhooks.md](webhooks.md). `GET /v1/event-types` gives the same with JSON Schemas, the `webhooks` section of \
        `GET /openapi.json` for generators.

        This page is printed from the program's own tables, of which the encoders are made too; a test holds it equal to \
        them. After a change of the tables: `TOCSIN_WRITE_DOCS=1 ./tocsin test --filter EventPageTests`.
        """

    static var contents: String {
        let lines = EventFamily.allCases.map { family in
            let types = EventCatalog.entries(of: family).map { "[`\($0.type.rawValue)`](#\($0.anchor))" }
            return "- **\(family.rawValue)**: \(types.joined(separator: ", "))"
        }
        return lines.joined(separator: "\n")
    }

    static var delivery: String {
        let rows = DeliveryHeader.allCases.map { "| `\($0.rawValue)` | \($0.summary) |" }
        return """
            ## Subscribe

            An endpoint names the types that it wants (`events`); what it does not name never leaves. An event whose scope \
            its app does not hold is not sent, whatever the endpoint names.

            ## The form of a delivery

            A POST of JSON: the envelope `id`, `type`, `created_at`, `data`; only `arming.state_changed` is flat. A member \
            whose fact does not exist is left out, never null. New members may be added: ignore what you do not know.

            | member | form | what it says |
            |---|---|---|
            \(envelope)

            With these headers:

            | header | what it says |
            |---|---|
            \(rows.joined(separator: "\n"))
            """
    }

    private static var envelope: String {
        let fields = EventEnvelope.members.map(\.field).map { field in
            var copy = field
            if copy.form == EventType.form { copy.form = .text }
            return copy
        }
        return rows(fields).joined(separator: "\n") + "\n| `\(EventEnvelope.data)` | object | What happened. |"
    }

    static func chapter(_ family: EventFamily) -> String {
        let entries = EventCatalog.entries(of: family).map(entry)
        return "## \(family.rawValue)\n\n\(family.summary)\n\n" + entries.joined(separator: "\n\n")
    }

    private static func entry(_ entry: EventCatalog.Entry) -> String {
        let members = rows(entry.payload).joined(separator: "\n")
        return """
            ### \(entry.type.rawValue)

            \(entry.summary) \(remarks(entry))

            | \(entry.isFlat ? "member" : "member of `data`") | form | what it says |
            |---|---|---|
            \(members)

            ```json
            \(entry.example.indented())
            ```
            """
    }

    private static func remarks(_ entry: EventCatalog.Entry) -> String {
        var sentences = [entry.scope.map { "Requires `\($0.rawValue)`." } ?? "Requires no scope."]
        if entry.isFlat { sentences.append("The body is flat: it has no envelope.") }
        if entry.type.isForPartners {
            sentences.append("For a partner's endpoint only; not an entry of the log, and not sent again.")
        }
        if !entry.type.isSubscribable { sentences.append("Cannot be subscribed to.") }
        return sentences.joined(separator: " ")
    }

    /// A row a member; those of an object within follow it, with their path.
    private static func rows(_ fields: [EventField], below path: String = "") -> [String] {
        fields.flatMap { field in
            let name = path + field.name
            let form = field.form.words + (field.isRequired ? "" : ", optional")
            let row = "| `\(name)` | \(form) | \(field.summary) |"
            return [row] + rows(field.form.members, below: name + field.form.step)
        }
    }
}

extension EventCatalog {
    fileprivate static func entries(of family: EventFamily) -> [Entry] { all.filter { $0.family == family } }
}

extension EventCatalog.Entry {
    /// What a heading of its name is called in links: dots are dropped.
    fileprivate var anchor: String { type.rawValue.filter { $0 != "." } }
}

extension EventForm {
    /// The form in words.
    fileprivate var words: String {
        switch self {
        case .id(let prefix): "id `\(prefix)…`"
        case .alarmNumber: "alarm number"
        case .words(let words): words.map { "`\($0)`" }.joined(separator: " ")
        case .text: "text"
        case .url: "URL"
        case .time: "time"
        case .boolean: "true or false"
        case .whole(let range) where range.upperBound == Int64.max: "whole number"
        case .whole(let range): "whole number, \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "number, \(range.lowerBound) to \(range.upperBound)"
        case .list(let element): "list of: \(element.words)"
        case .object: "object"
        }
    }

    /// The members that are told below it.
    fileprivate var members: [EventField] {
        switch self {
        case .object(let fields): fields
        case .list(let element): element.members
        case .id, .alarmNumber, .words, .text, .url, .time, .boolean, .whole, .number: []
        }
    }

    /// What stands between it and the name of a member below it.
    fileprivate var step: String { if case .list = self { "[]." } else { "." } }
}

extension JSON {
    /// The value over several lines; an array of plain values stays on one.
    fileprivate func indented(by indentation: String = "") -> String {
        let inner = indentation + "  "
        switch self {
        case .object(let object):
            let lines = object.members.map { "\(inner)\(JSON.string($0.name).text): \($0.value.indented(by: inner))" }
            return "{\n\(lines.joined(separator: ",\n"))\n\(indentation)}"
        case .array(let elements) where elements.contains(where: { $0.object != nil }):
            let lines = elements.map { inner + $0.indented(by: inner) }
            return "[\n\(lines.joined(separator: ",\n"))\n\(indentation)]"
        case .null, .bool, .integer, .decimal, .string, .array: return text
        }
    }
}

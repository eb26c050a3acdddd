import TocsinJSON

/// One thing that is wrong with a request's field, with what would be right.
package struct FieldError: Hashable, Sendable {
    /// Where: `name`, `partitions[0].number`; empty for the body itself.
    package var field: String
    package var message: String
}

extension Schema {
    /// How many errors are told at once; nobody reads more, and a hostile body cannot make the reply large.
    package static let errorCountMax = 20

    /// Everything that is wrong with the value; nothing if it fits.
    ///
    /// With `strict`, members that no schema names are errors (`Prefer: handling=strict`, decisions §1).
    package func validate(_ value: JSON, strict: Bool = false) -> [FieldError] {
        var validation = Validation(strict: strict)
        validation.check(value, self)
        return validation.errors
    }
}

/// One pass over a value; the path is only put into words when something is wrong.
private struct Validation {
    private enum Step {
        case member(String)
        case index(Int)
    }

    let strict: Bool
    var errors: [FieldError] = []
    private var path: [Step] = []

    init(strict: Bool) { self.strict = strict }

    mutating func check(_ value: JSON, _ schema: Schema) {
        if schema.isNullable, case .null = value { return }
        switch schema.kind {
        case .any: return
        case .boolean:
            if value.bool == nil { wrongKind("a boolean", value) }
        case .integer(let range): checkInteger(value, range)
        case .number(let range): checkNumber(value, range)
        case .string(let rule):
            guard let text = value.string else { return wrongKind("a string", value) }
            checkText(text, rule)
        case .array(let element, let count):
            guard let elements = value.array else { return wrongKind("an array", value) }
            checkArray(elements, element, count)
        case .object(let properties):
            guard let object = value.object else { return wrongKind("an object", value) }
            checkObject(object, properties)
        case .map(let element, let limit):
            guard let object = value.object else { return wrongKind("an object", value) }
            if object.members.count > limit { fail("has more than \(limit) members") }
            for member in object.members { descend(.member(member.name)) { $0.check(member.value, element) } }
        case .anyOf(let schemas): checkAlternatives(value, schemas)
        }
    }

    private mutating func checkInteger(_ value: JSON, _ range: ClosedRange<Int64>) {
        switch value {
        case .integer(let number):
            guard range.contains(number) else { return fail("must be \(words(range)), not \(number)") }
        case .decimal: fail("must be a whole number, \(words(range))")
        case .null, .bool, .string, .array, .object: wrongKind("a whole number", value)
        }
    }

    private mutating func checkNumber(_ value: JSON, _ range: ClosedRange<Double>) {
        let number: Double?
        switch value {
        case .integer(let whole): number = Double(whole)
        case .decimal(let text): number = Double(text)
        case .null, .bool, .string, .array, .object: return wrongKind("a number", value)
        }
        guard let number, range.contains(number) else {
            return fail("must be from \(range.lowerBound) to \(range.upperBound), not \(value.text)")
        }
    }

    private func words(_ range: ClosedRange<Int64>) -> String {
        range.upperBound == Int64.max
            ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
    }

    private mutating func checkText(_ text: String, _ rule: Schema.TextRule) {
        if !rule.values.isEmpty {
            let candidate = rule.ignoresCase ? text.lowercased() : text
            if rule.values.contains(candidate) { return }
            return fail("must be one of \(rule.values.map { "\"\($0)\"" }.joined(separator: ", "))")
        }
        // A text has at most as many scalars as bytes, so that most texts need no counting.
        let bytes = text.utf8.count
        if bytes <= rule.length.upperBound, bytes >= rule.length.lowerBound * 4 || rule.length.lowerBound <= 1 {
            if bytes == 0, rule.length.lowerBound > 0 { return fail("must not be empty") }
            return
        }
        let count = text.unicodeScalars.count
        if count == 0, rule.length.lowerBound > 0 { return fail("must not be empty") }
        if !rule.length.contains(count) {
            fail("must have \(rule.length.lowerBound) to \(rule.length.upperBound) characters, not \(count)")
        }
    }

    private mutating func checkArray(_ elements: [JSON], _ element: Schema, _ count: ClosedRange<Int>) {
        guard count.contains(elements.count) else {
            return fail("must have \(count.lowerBound) to \(count.upperBound) elements, not \(elements.count)")
        }
        for (index, value) in elements.enumerated() {
            descend(.index(index)) { $0.check(value, element) }
        }
    }

    private mutating func checkObject(_ object: JSONObject, _ properties: [Schema.Property]) {
        var found = 0
        for property in properties {
            if let value = object[property.name] {
                found += 1
                descend(.member(property.name)) { $0.check(value, property.schema) }
            } else if property.isRequired {
                descend(.member(property.name)) { $0.fail("is required") }
            }
        }
        guard strict, found < object.members.count else { return }
        for member in object.members where !properties.contains(where: { $0.name == member.name }) {
            descend(.member(member.name)) { $0.fail("is not a member that this request has") }
        }
    }

    private mutating func checkAlternatives(_ value: JSON, _ schemas: [Schema]) {
        var told: [FieldError]?
        for schema in schemas {
            var attempt = Validation(strict: strict)
            attempt.path = path
            attempt.check(value, schema)
            if attempt.errors.isEmpty { return }
            // What was meant is the form of the value's own kind; where there is none, the first.
            if told == nil || schema.isOfKind(value) { told = attempt.errors }
        }
        errors.append(contentsOf: told ?? [])
    }

    private mutating func descend(_ step: Step, _ body: (inout Validation) -> Void) {
        path.append(step)
        body(&self)
        path.removeLast()
    }

    private mutating func wrongKind(_ expected: String, _ value: JSON) {
        fail("must be \(expected), not \(value.kind)")
    }

    private mutating func fail(_ complaint: String) {
        guard errors.count < Schema.errorCountMax else { return }
        var field = ""
        for step in path {
            switch step {
            case .member(let name): field += field.isEmpty ? name : ".\(name)"
            case .index(let index): field += "[\(index)]"
            }
        }
        errors.append(FieldError(field: field, message: complaint))
    }
}

extension Schema {
    /// Whether the form is one for values of this kind, whatever else it asks of them.
    fileprivate func isOfKind(_ value: JSON) -> Bool {
        switch (kind, value) {
        case (.any, _), (.boolean, .bool), (.integer, .integer), (.integer, .decimal), (.number, .integer),
            (.number, .decimal), (.string, .string),
            (.array, .array), (.object, .object), (.map, .object):
            true
        case (.anyOf(let schemas), _): schemas.contains { $0.isOfKind(value) }
        case (.boolean, _), (.integer, _), (.number, _), (.string, _), (.array, _), (.object, _), (.map, _): false
        }
    }
}

import TocsinJSON

/// Collects the named schemas of a document while it is written.
package struct SchemaComponents {
    package private(set) var schemas: [String: JSON] = [:]

    package init() {}

    /// The schema as JSON Schema 2020-12; a named one is a reference, and is added to the components.
    package mutating func document(_ schema: Schema) -> JSON {
        guard let name = schema.name else { return inline(schema) }
        if schemas[name] == nil {
            // The place is taken before the members are looked at, so that a schema may hold itself.
            schemas[name] = .object([:])
            var body = schema
            body.isNullable = false
            schemas[name] = inline(body)
        }
        let reference: JSON = ["$ref": .string("#/components/schemas/\(name)")]
        return schema.isNullable ? ["anyOf": [reference, ["type": "null"]]] : reference
    }

    private mutating func inline(_ schema: Schema) -> JSON {
        var object = members(of: schema)
        if schema.isNullable, let type = object["type"] {
            object["type"] = .array([type, "null"])
            if let values = object["enum"]?.array { object["enum"] = .array(values + [.null]) }
        }
        if let description = schema.description { object["description"] = .string(description) }
        if schema.isWriteOnly { object["writeOnly"] = true }
        if let example = schema.example { object["examples"] = .array([example]) }
        return .object(object)
    }

    private mutating func members(of schema: Schema) -> JSONObject {
        switch schema.kind {
        case .any: return [:]
        case .boolean: return ["type": "boolean"]
        case .integer(let range):
            var object: JSONObject = ["type": "integer", "minimum": .integer(range.lowerBound)]
            if range.upperBound < Int64.max { object["maximum"] = .integer(range.upperBound) }
            return object
        case .number(let range):
            return [
                "type": "number", "minimum": .decimal(range.lowerBound.description),
                "maximum": .decimal(range.upperBound.description),
            ]
        case .string(let rule): return text(rule)
        case .array(let element, let count):
            var object: JSONObject = ["type": "array", "items": document(element)]
            if count.lowerBound > 0 { object["minItems"] = JSON(count.lowerBound) }
            object["maxItems"] = JSON(count.upperBound)
            return object
        case .object(let properties):
            var object: JSONObject = ["type": "object"]
            var described = JSONObject()
            for property in properties { described[property.name] = document(property.schema) }
            object["properties"] = .object(described)
            let required = properties.filter(\.isRequired).map(\.name)
            if !required.isEmpty { object["required"] = JSON(required) }
            return object
        case .map(let element, let limit):
            return ["type": "object", "additionalProperties": document(element), "maxProperties": JSON(limit)]
        case .anyOf(let schemas):
            var alternatives: [JSON] = []
            for alternative in schemas { alternatives.append(document(alternative)) }
            return ["anyOf": .array(alternatives)]
        }
    }

    private func text(_ rule: Schema.TextRule) -> JSONObject {
        var object: JSONObject = ["type": "string"]
        if rule.values.isEmpty {
            if rule.length.lowerBound > 0 { object["minLength"] = JSON(rule.length.lowerBound) }
            object["maxLength"] = JSON(rule.length.upperBound)
        } else {
            // JSON Schema cannot say "in any letter case": the two forms that people write stand for the rest.
            object["enum"] = JSON(rule.values + (rule.ignoresCase ? rule.values.map { $0.uppercased() } : []))
        }
        if let format = rule.format { object["format"] = .string(format) }
        return object
    }
}

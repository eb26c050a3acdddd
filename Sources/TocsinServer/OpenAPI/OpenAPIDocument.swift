import HTTPTypes
import TocsinCore
import TocsinJSON

/// `GET /openapi.json`: OpenAPI 3.1, made of the operations themselves, so that it cannot drift from them.
package struct OpenAPIDocument {
    /// The document of everything that the server can do.
    static let bytes = OpenAPIDocument(Operations.all).json.bytes

    /// The major version is the contract's: a certificate lapses when it changes (decisions §9).
    package static let version = "1.0.0"

    private let operations: [Operation]
    private var components = SchemaComponents()

    init(_ operations: [Operation]) { self.operations = operations }

    var json: JSON {
        var copy = self
        return copy.document()
    }

    private mutating func document() -> JSON {
        var paths = JSONObject()
        for operation in operations {
            var item = paths[operation.path]?.object ?? [:]
            item[operation.method.rawValue.lowercased()] = entry(operation)
            paths[operation.path] = .object(item)
        }
        var webhooks = JSONObject()
        for entry in EventCatalog.all { webhooks[entry.type.rawValue] = webhook(entry) }
        let schemas = components.schemas.sorted { $0.key < $1.key }
        var named = JSONObject()
        for (name, schema) in schemas { named[name] = schema }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Tocsin", "version": .string(Self.version),
                "description": "Arming state in, alarm events out: every change becomes a durable, signed webhook.",
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "servers": [["url": "/"]],
            "tags": .array(Operation.Tag.allCases.map { ["name": .string($0.rawValue)] }),
            "paths": .object(paths),
            "webhooks": .object(webhooks),
            "components": ["schemas": .object(named), "securitySchemes": Self.securitySchemes],
        ]
    }

    private static let securitySchemes: JSON = [
        "credential": [
            "type": "http", "scheme": "bearer",
            "description":
                "An app's key (`tcs_live_…`), an admin's token (`tcs_admin_…`), or a partner's access token.",
        ],
        "partner": [
            "type": "oauth2",
            "flows": ["clientCredentials": ["tokenUrl": "/oauth/token", "scopes": [:]]],
        ],
    ]

    // MARK: Operations

    private mutating func entry(_ operation: Operation) -> JSON {
        var entry: JSONObject = [
            "operationId": .string(operation.id),
            "tags": [.string(operation.tag.rawValue)],
            "summary": .string(operation.summary),
        ]
        let sentences = [operation.notes, operation.callers.description].compactMap(\.self)
        entry["description"] = .string(sentences.joined(separator: "\n\n"))
        entry["security"] =
            operation.callers.anonymous
            ? []
            : operation.callers.partner
                ? [["credential": []], ["partner": []]] : [["credential": []]]
        let parameters = parameters(of: operation)
        if !parameters.isEmpty { entry["parameters"] = .array(parameters) }
        switch operation.body {
        case .none: break
        case .json(let schema): entry["requestBody"] = content(schema, Reply.jsonType, isRequired: true)
        case .media(let types):
            // The bytes of a file have no schema (OpenAPI 3.1 §4.8.14.1).
            var content = JSONObject()
            for type in types { content[type.rawValue] = [:] }
            entry["requestBody"] = ["required": true, "content": .object(content)]
        case .optionalJSON(let schema): entry["requestBody"] = content(schema, Reply.jsonType, isRequired: false)
        case .form(let schema):
            entry["requestBody"] = content(schema, "application/x-www-form-urlencoded", isRequired: true)
        }
        entry["responses"] = .object(responses(of: operation))
        return .object(entry)
    }

    private mutating func content(_ schema: Schema, _ type: String, isRequired: Bool) -> JSON {
        ["required": .bool(isRequired), "content": [type: ["schema": components.document(schema)]]]
    }

    private mutating func parameters(of operation: Operation) -> [JSON] {
        var parameters: [JSON] = operation.pathParameters.map { name in
            ["name": .string(name), "in": "path", "required": true, "schema": Self.pathValue]
        }
        for parameter in operation.query {
            parameters.append([
                "name": .string(parameter.name), "in": "query", "required": .bool(parameter.isRequired),
                "schema": components.document(parameter.schema),
            ])
        }
        if operation.takesIdempotencyKey {
            parameters.append(Self.header("Idempotency-Key", length: 255, "Makes a repetition harmless for 24 hours."))
        }
        if !operation.callers.anonymous {
            parameters.append(Self.header("x-partner-trace-id", length: 128, "Kept in the audit log and echoed."))
        }
        if case .json = operation.body {
            parameters.append([
                "name": "Prefer", "in": "header", "required": false,
                "description": "`handling=strict` refuses unknown members of the body.", "schema": ["type": "string"],
            ])
        }
        if operation.errors.contains(.versionConflict) {
            parameters.append([
                "name": "If-Match", "in": "header", "required": false, "schema": ["type": "string"],
            ])
        }
        return parameters
    }

    /// Longer than any id or name of ours.
    private static let pathValue: JSON = ["type": "string", "minLength": 1, "maxLength": 100]

    private static func header(_ name: String, length: Int, _ description: String) -> JSON {
        [
            "name": .string(name), "in": "header", "required": false, "description": .string(description),
            "schema": [
                "type": "string", "minLength": 1, "maxLength": JSON(length), "pattern": "^[\\x21-\\x7E]+$",
            ],
        ]
    }

    private mutating func responses(of operation: Operation) -> JSONObject {
        var responses = JSONObject()
        for reply in operation.replies {
            var response: JSONObject = ["description": .string(reply.description), "headers": Self.replyHeaders]
            if let schema = reply.content {
                response["content"] = [reply.contentType: ["schema": components.document(schema)]]
            }
            responses[String(reply.status.code)] = .object(response)
        }
        let codes = Dictionary(grouping: operation.allErrors, by: \.status.code)
        let isOAuth = operation.flags.contains(.oauthErrors)
        for (status, codes) in codes.sorted(by: { $0.key < $1.key }) {
            let isOAuth = isOAuth && status < 500
            responses[String(status)] = isOAuth ? refusal([], OAuthError.schema) : refusal(codes, Self.errorSchema)
        }
        if isOAuth { responses["401"] = refusal([], OAuthError.schema) }
        return responses
    }

    private mutating func refusal(_ codes: [ErrorCode], _ schema: Schema) -> JSON {
        let words = codes.map { "`\($0.rawValue)`" }.joined(separator: ", ")
        return [
            "description": .string(words.isEmpty ? "Refused." : "Refused: \(words)."),
            "headers": Self.replyHeaders,
            "content": [Reply.jsonType: ["schema": components.document(schema)]],
        ]
    }

    private static let errorSchema = Schema.object([
        .required(
            "error",
            .object([
                .required("code", .oneOf(ErrorCode.self)),
                .required("message", .string(0...2000)),
                .required("request_id", .string(1...64)),
                .optional("field", .string()),
                .optional("details", .object([])),
            ])
        )
    ]).named("Error")

    private static let replyHeaders: JSON = [
        "X-Request-Id": ["schema": ["type": "string"]],
        "X-RateLimit-Limit": ["schema": ["type": "integer"], "description": "Requests a minute."],
        "X-RateLimit-Remaining": ["schema": ["type": "integer"], "description": "Requests left at once."],
        "X-RateLimit-Reset": ["schema": ["type": "integer"], "description": "Seconds until all are left again."],
    ]

    // MARK: Webhooks

    private mutating func webhook(_ entry: EventCatalog.Entry) -> JSON {
        let type = entry.type
        let content: JSON = ["schema": components.document(entry.schema), "example": entry.example]
        let parameters: [JSON] = DeliveryHeader.allCases.compactMap { header in
            let isSent = header.isSent(with: type)
            if isSent == false { return nil }
            return [
                "name": .string(header.rawValue), "in": "header", "required": .bool(isSent ?? false),
                "description": .string(header.summary), "schema": ["type": "string"],
            ]
        }
        let scope = entry.scope.map { "Needs the scope `\($0.rawValue)`." } ?? "Needs no scope."
        return [
            "post": [
                "operationId": .string("on_" + type.rawValue.replacing(".", with: "_")),
                "summary": .string(entry.title),
                "description": .string("\(entry.summary) \(scope)"),
                "parameters": .array(parameters),
                "requestBody": ["required": true, "content": [Reply.jsonType: content]],
                "responses": ["2XX": ["description": .string(Self.taken(type))]],
            ]
        ]
    }

    private static func taken(_ type: EventType) -> String {
        type.isLogged
            ? "Taken. Anything else is tried again later."
            : "Answered: accepted or rejected. Anything else counts as no answer."
    }
}

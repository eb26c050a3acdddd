import HTTPTypes
import Metrics
import Testing
import TocsinCore
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct DocumentTests {
    @Test func `the document lists every operation and every event, and every reference leads somewhere`() async throws
    {
        try await ServerWorld.run { world in
            let document = try await world.send(.get, "/openapi.json")
            #expect(document.status == 200)
            #expect(document["openapi"]?.string == "3.1.0")
            let paths = try #require(document["paths"]?.object)
            let ids = paths.members.flatMap { path in
                path.value.object?.members.compactMap { $0.value["operationId"]?.string } ?? []
            }
            #expect(ids.count == Operations.all.count)
            #expect(Set(ids).count == ids.count)
            #expect(document["webhooks"]?.object?.names == EventType.allCases.map(\.rawValue))

            let schemas = Set(document["components"]?["schemas"]?.object?.names ?? [])
            for reference in Self.references(in: document.json) {
                let name = reference.replacing("#/components/schemas/", with: "")
                #expect(schemas.contains(name), "\(reference) leads nowhere")
            }
            for member in paths.members {
                let names = member.name.split(separator: "/").filter { $0.hasPrefix("{") }.map {
                    $0.dropFirst().dropLast()
                }
                for operation in member.value.object?.members ?? [] {
                    let inPath = (operation.value["parameters"]?.array ?? []).filter { $0["in"]?.string == "path" }
                    #expect(inPath.compactMap { $0["name"]?.string } == names.map(String.init))
                    let responses = operation.value["responses"]?.object?.names ?? []
                    #expect(responses.contains { $0.hasPrefix("2") })
                    #expect(Set(responses).count == responses.count)
                }
            }
        }
    }

    private static func references(in json: JSON) -> [String] {
        switch json {
        case .object(let object):
            object.members.flatMap { member in
                if member.name == "$ref", let text = member.value.string {
                    [text]
                } else {
                    references(in: member.value)
                }
            }
        case .array(let elements): elements.flatMap(references)
        case .null, .bool, .integer, .decimal, .string: []
        }
    }

    @Test func `a named schema means one thing`() {
        var components = SchemaComponents()
        for operation in Operations.all {
            for reply in operation.replies {
                guard let schema = reply.content, let name = schema.name else { continue }
                _ = components.document(schema)
                var alone = SchemaComponents()
                _ = alone.document(schema)
                #expect(alone.schemas[name] == components.schemas[name], "\(name) has two meanings")
            }
        }
    }

    @Test func `event types are listed with the schema of their body`() async throws {
        try await ServerWorld.run { world in
            let answer = try await world.send(.get, "/v1/event-types", as: world.admin)
            let types = try #require(answer["data"]?.array)
            #expect(types.compactMap { $0["type"]?.string } == EventType.allCases.map(\.rawValue))
            // Each schema stands by itself: a reference would lead nowhere in this reply.
            #expect(types.allSatisfy { $0["schema"]?["type"] == "object" && Self.references(in: $0).isEmpty })
            #expect(types.allSatisfy { $0["example"]?.object != nil && $0["title"]?.string?.isEmpty == false })
        }
    }

    @Test func `a webhook tells its headers, its scope and an example`() throws {
        let webhooks = OpenAPIDocument(Operations.all).json["webhooks"]
        func headers(_ type: EventType) -> [String] {
            let parameters = webhooks?[type.rawValue]?["post"]?["parameters"]?.array ?? []
            return parameters.filter { $0["required"] == true }.compactMap { $0["name"]?.string }
        }
        let all = DeliveryHeader.allCases.map(\.rawValue)
        #expect(headers(.alarmCreated) == all.filter { $0 != "X-CHeKT-Dealer-Id" && $0 != "X-CHeKT-Parked" })
        let deliveries = ["X-CHeKT-Delivery-Id", "X-CHeKT-Sequence", "X-CHeKT-Parked"]
        #expect(headers(.armingCommand) == all.filter { !deliveries.contains($0) })
        let post = try #require(webhooks?["partition.armed"]?["post"])
        #expect(post["description"]?.string?.contains("`sites:read`") == true)
        let content = post["requestBody"]?["content"]?["application/json"]
        #expect(content?["example"] == EventCatalog.Entry(.partitionArmed).example)
    }

    @Test func `a real event fits the schema that is published for it`() async throws {
        try await ServerWorld.run { world in
            let scene = try await world.scene()
            _ = try await world.report(scene)
            world.clock.advance(.seconds(1))
            _ = try await world.report(scene, ["state": "arm_failure", "zones": [["number": 5, "name": "Back Door"]]])
            world.clock.advance(.seconds(1))
            _ = try await world.report(scene, ["state": "disarmed"])
            let dealer = DealerID(stored: scene.dealer)
            let events = try await world.ledger.read { try $0.events(of: dealer, after: 0, limit: 100) }
            #expect(Set(events.map(\.type)).count >= 4)
            for event in events {
                let body = try JSONParser.parse(event.body)
                let errors = event.type.bodySchema.validate(body, strict: true)
                #expect(errors.isEmpty, "\(event.type): \(errors) \(body.text)")
            }
        }
    }
}

@Suite struct SchemaTests {
    static let schema = Schema.object([
        .required("name", .string(2...4)), .optional("count", .integer(1...10)),
        .optional("list", .array(of: .object([.required("flag", .boolean)]), count: 1...2)),
        .optional("kind", .oneOf(["a", "b"], ignoringCase: true)), .optional("note", Schema.string().nullable),
        .optional("either", .anyOf([.integer(1...2), .oneOf(["all"])])),
    ])

    @Test(
        arguments: [
            (#"{"name":"abc"}"#, []), (#"{"name":"äöüß"}"#, []), (#"{"name":"a"}"#, ["name"]),
            (#"{"name":"abcde"}"#, ["name"]), (#"{}"#, ["name"]), (#"{"name":null}"#, ["name"]),
            (#"{"name":"abc","count":0}"#, ["count"]), (#"{"name":"abc","count":1.5}"#, ["count"]),
            (#"{"name":"abc","count":true}"#, ["count"]), (#"{"name":"abc","note":null}"#, []),
            (#"{"name":"abc","kind":"B"}"#, []), (#"{"name":"abc","kind":"c"}"#, ["kind"]),
            (#"{"name":"abc","list":[]}"#, ["list"]), (#"{"name":"abc","list":[{"flag":true}]}"#, []),
            (#"{"name":"abc","list":[{"flag":true},{"flag":1}]}"#, ["list[1].flag"]),
            (#"{"name":"abc","either":"all"}"#, []), (#"{"name":"abc","either":3}"#, ["either"]),
            (#"{"name":1,"count":"x"}"#, ["name", "count"]), (#"[]"#, [""]),
        ] as [(String, [String])]
    )
    func `a value is checked as the document says`(text: String, fields: [String]) throws {
        #expect(Self.schema.validate(try JSONParser.parse(text)).map(\.field) == fields)
    }

    @Test func `a hostile value gets a bounded list of complaints`() {
        let value = JSON.array(Array(repeating: .null, count: 500))
        #expect(Schema.array(of: .boolean).validate(value).count == Schema.errorCountMax)
    }
}

@Suite struct PrometheusTests {
    @Test func `counters, gauges and histograms are shown as Prometheus reads them`() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "requests_total", dimensions: [("op", "a\"b")]).increment(by: 2)
        registry.makeCounter(label: "requests_total", dimensions: [("op", "a\"b")]).increment(by: 1)
        registry.makeRecorder(label: "depth", dimensions: [], aggregate: false).record(2.5)
        let timer = registry.makeTimer(label: "wait_seconds", dimensions: [])
        timer.recordNanoseconds(1_000_000)
        timer.recordNanoseconds(60_000_000_000)
        let lines = registry.page().split(separator: "\n").map(String.init)
        #expect(lines.contains("# TYPE requests_total counter"))
        #expect(lines.contains("requests_total{op=\"a\\\"b\"} 3"))
        #expect(lines.contains("depth 2.5"))
        #expect(lines.contains("wait_seconds_bucket{le=\"0.0005\"} 0"))
        #expect(lines.contains("wait_seconds_bucket{le=\"0.001\"} 1"))
        #expect(lines.contains("wait_seconds_bucket{le=\"30\"} 1"))
        #expect(lines.contains("wait_seconds_bucket{le=\"+Inf\"} 2"))
        #expect(lines.contains("wait_seconds_count 2"))
    }
}

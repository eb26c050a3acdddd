import Testing
import TocsinJSON

/// What the writer writes, the parser reads back the same.
struct JSONWriterTests {
    @Test func `writes members in the order of the calls, compactly`() {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("b", "x")
            writer.member("a", ifPresent: nil)
            writer.member("n", 1)
            writer.name("list")
            writer.array { writer in
                writer.integer(1)
                writer.null()
                writer.object { $0.member("t", true) }
                writer.array { _ in }
            }
            writer.member("last", false)
        }

        #expect(writer.text == "{\"b\":\"x\",\"n\":1,\"list\":[1,null,{\"t\":true},[]],\"last\":false}")
    }

    @Test(arguments: [
        ("\"\\", #""\"\\""#), ("\n\r\t", #""\n\r\t""#), ("\u{0}\u{1F}\u{7F}", #""\u0000\u001f\u007f""#),
        ("a/é🚪", "\"a/é🚪\""),
    ])
    func `escapes what must be escaped, and nothing else`(text: String, json: String) {
        #expect(JSON.string(text).text == json)
    }

    @Test func `every byte is escaped or not wherever it stands`() throws {
        // Zero is written as an escape, too, but not read.
        for byte in UInt8(1)...0x7F {
            for length in 1...20 {
                for place in 0..<length {
                    var bytes = Array(repeating: UInt8(ascii: "a"), count: length)
                    bytes[place] = byte
                    let text = String(decoding: bytes, as: UTF8.self)
                    let mustEscape = byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F
                    let json = JSON.string(text).text
                    let again = try JSONParser.parse(json)
                    if (json != "\"\(text)\"") != mustEscape || again != .string(text) {
                        Issue.record("byte \(byte) at \(place) of \(length): \(json)")
                        return
                    }
                }
            }
        }
    }

    @Test func `a value is read back as it was written`() throws {
        let seed = Seed.announced(for: "JSON round trip")
        for index in 0..<3000 {
            var generator = SeededGenerator(seed: seed &+ UInt64(index))
            let value = JSON.random(depth: 4, &generator)
            let text = value.text
            let again = try JSONParser.parse(text)
            if again.text != text || again != value {
                Issue.record("seed \(seed &+ UInt64(index)): \(text) is read back as \(again.text)")
                return
            }
        }
    }

    @Test func `a member is set in its place, and taken away`() {
        var object: JSONObject = ["a": 1, "b": 2]
        object["a"] = 3
        object["c"] = 4
        object["b"] = nil
        object["d"] = nil

        #expect(JSON.object(object).text == "{\"a\":3,\"c\":4}")
    }
}

extension JSON {
    fileprivate static func random(depth: Int, _ generator: inout SeededGenerator) -> JSON {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 5), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2: return .integer(Int64(bitPattern: generator.next() >> UInt64.random(in: 0...63, using: &generator)))
        case 3: return .decimal(generator.pick(["0.5", "-1e9", "18446744073709551616", "1.10"]))
        case 4: return .string(.random(&generator))
        case 5:
            let count = Int.random(in: 0...4, using: &generator)
            return .array((0..<count).map { _ in random(depth: depth - 1, &generator) })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0...20, using: &generator) {
                object[.random(&generator)] = random(depth: depth - 2, &generator)
            }
            return .object(object)
        }
    }
}

extension String {
    /// Any scalars but U+0000, with those that need care more often.
    fileprivate static func random(_ generator: inout SeededGenerator) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...8, using: &generator) {
            let value = generator.pick([
                UInt32.random(in: 1...0x7F, using: &generator), .random(in: 0x80...0x10FFFF, using: &generator), 0x22,
                0x5C,
                0x301, 0x1F6AA, 0x200D,
            ])
            if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
        }
        return text
    }
}

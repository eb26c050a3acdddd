import Testing
import TocsinJSON

/// What the strict parser takes and what it refuses.
struct JSONParserTests {
    /// The code with which a text is refused, if it is.
    private func refusal(_ bytes: [UInt8]) -> JSONError.Code? {
        do throws(JSONError) {
            _ = try JSONParser.parse(bytes)
            return nil
        } catch {
            return error.code
        }
    }

    @Test(
        arguments: [
            ("null", JSON.null), ("true", true), (" \t\r\n false \n", false), ("0", 0), ("-0", 0), ("-1", -1),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)), ("\"\"", ""), ("[]", []),
            ("{}", [:]), ("[1, [2],{\"a\" : null}]", [1, [2], ["a": nil]]), ("{\"\":1}", ["": 1]),
            ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\u{8}\u{C}\n\r\t"), ("\"\\u00e9\\u00E9\"", "éé"),
            ("\"\\uD83D\\uDEAA\"", "🚪"), ("\"🚪\u{7F}\"", "🚪\u{7F}"), ("\"\\uFFFF\\u0001\"", "\u{FFFF}\u{1}"),
        ] as [(String, JSON)]
    )
    func `takes what RFC 8259 allows`(text: String, value: JSON) throws {
        #expect(try JSONParser.parse(text) == value)
    }

    @Test(arguments: [
        "9223372036854775808", "-9223372036854775809", "1.0", "1.50", "0.1", "1e400", "-1E+2", "0e-7",
        "123456789012345678901234567890", "3.141592653589793238462643383279",
    ])
    func `keeps a number that is no 64-bit integer exactly as it was written`(text: String) throws {
        let value = try JSONParser.parse(text)

        #expect(value == .decimal(text))
        #expect(value.text == text)
    }

    @Test(arguments: [
        "", " ", "nul", "True", "NaN", "Infinity", "'a'", "a", "01", "-01", "00", "+1", "-", ".5", "1.", "1.e2", "1e",
        "1e+", "0x10", "1_000", "[1,]", "[,1]", "[1 2]", "[", "]", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{a:1}",
        "{1:2}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "null null", "{}x", "[]]", "1 2", "// c\n1", "[1]/**/", "\u{FEFF}1",
        "\"", "\"\\\"", "\"\\x41\"", "\"\\a\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\U0041\"", "\"\\u００41\"", "\"a\nb\"",
        "\"a\tb\"", "\"a\\n\u{1}\"", "\u{A0}1", "\u{B}1", "nullx",
    ])
    func `refuses what is no JSON`(text: String) {
        #expect(refusal(Array(text.utf8)) == .malformed)
    }

    @Test(arguments: [
        "{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":2,\"\\u0061\":3}", "[{\"x\":{\"y\":1,\"y\":2}}]", "{\"\":1,\"\":2}",
        "{\"e\u{301}\":1,\"é\":2}",
    ])
    func `refuses a member name that occurs twice`(text: String) {
        #expect(refusal(Array(text.utf8)) == .duplicateMember)
    }

    @Test(arguments: [15, 16, 17, 40])
    func `refuses a repeated name in objects of any size, and takes distinct ones`(count: Int) {
        let members = (0..<count).map { "\"m\($0)\":\($0)" }

        #expect(refusal(Array("{\(members.joined(separator: ","))}".utf8)) == nil)
        for repeated in [0, count / 2, count - 1] {
            let text = "{\((members + ["\"m\(repeated)\":0"]).joined(separator: ","))}"
            #expect(refusal(Array(text.utf8)) == .duplicateMember)
        }
    }

    @Test func `names that differ in letter case are distinct`() {
        #expect(refusal(Array("{\"a\":1,\"A\":2}".utf8)) == nil)
    }

    @Test(arguments: ["", "1"])
    func `nests up to 32 levels`(innermost: String) {
        func nested(_ levels: Int, _ open: String, _ close: String, _ inside: String) -> [UInt8] {
            Array((String(repeating: open, count: levels) + inside + String(repeating: close, count: levels)).utf8)
        }
        #expect(refusal(nested(32, "[", "]", innermost)) == nil)
        #expect(refusal(nested(33, "[", "]", innermost)) == .tooDeep)
        #expect(refusal(nested(31, "{\"a\":", "}", "{}")) == nil)
        #expect(refusal(nested(32, "{\"a\":", "}", "{}")) == .tooDeep)
        // A text that only opens must not be followed down.
        #expect(refusal(nested(1_000_000, "[", "", "")) == .tooDeep)
    }

    @Test func `siblings do not count as levels`() {
        let text = "[" + Array(repeating: "[[]]", count: 100).joined(separator: ",") + "]"
        #expect(refusal(Array(text.utf8)) == nil)
    }

    @Test(arguments: ["\"\\u0000\"", "\"a\\u0000b\"", "{\"\\u0000\":1}"])
    func `refuses the character U+0000`(text: String) {
        #expect(refusal(Array(text.utf8)) == .nulCharacter)
    }

    @Test(arguments: [
        "\"\\uD83D\"", "\"\\uD83Dx\"", "\"\\uD83D\\n\"", "\"\\uD83D\\u0041\"", "\"\\uD83D\\uD83D\"", "\"\\uDEAA\"",
        "\"\\uDEAA\\uD83D\"",
    ])
    func `refuses half a surrogate pair`(text: String) {
        #expect(refusal(Array(text.utf8)) == .invalidUTF8)
    }

    @Test(
        arguments: [
            [0xFF], [0x80], [0xC3], [0xC3, 0x28], [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xED, 0xA0, 0x80], [0xE2, 0x82],
            [0xF0, 0x9F, 0x9A], [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80],
        ] as [[UInt8]]
    )
    func `refuses bytes that are not UTF-8, in values, names and beside escapes`(bytes: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        #expect(refusal([quote] + bytes + [quote]) == .invalidUTF8)
        #expect(refusal(Array("\"\\n".utf8) + bytes + [quote]) == .invalidUTF8)
        #expect(refusal(Array("{\"".utf8) + bytes + Array("\":1}".utf8)) == .invalidUTF8)
        // Outside of a string they are no JSON at all.
        #expect(refusal(bytes) == .malformed)
    }

    @Test(arguments: [UInt8](0..<0x20))
    func `refuses a bare control character in a string`(byte: UInt8) {
        let quote = UInt8(ascii: "\"")
        #expect(refusal([quote, byte, quote]) == .malformed)
        #expect(refusal(Array("\"\\n".utf8) + [byte, quote]) == .malformed)
    }

    @Test func `says where it went wrong`() {
        let error = #expect(throws: JSONError.self) { try JSONParser.parse("{\"a\":x}") }
        #expect(error?.description == "unexpected character at byte 5")
    }

    @Test func `keeps the order of members`() throws {
        let object = try #require(try JSONParser.parse("{\"z\":1,\"a\":2,\"m\":3}").object)
        #expect(object.names == ["z", "a", "m"])
    }
}

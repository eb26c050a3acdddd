import Foundation
import Testing
import TocsinCore

/// Files of real encoders, in `Tests/Samples`.
private func sample(_ name: String) throws -> [UInt8] {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    return Array(try Data(contentsOf: tests.appendingPathComponent("Samples/\(name)")))
}

private func inspect(_ bytes: [UInt8], as type: MediaType, by partLength: Int = .max) -> MediaProblem? {
    var inspection = MediaInspection(declared: type)
    do throws(MediaProblem) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(partLength))
            rest = rest.dropFirst(part.count)
            try inspection.take(part)
        }
        try inspection.finish()
        return nil
    } catch {
        return error
    }
}

@Suite struct MediaInspectionTests {
    static let sound: [(name: String, type: MediaType)] = [
        ("door.jpg", .jpeg), ("door-progressive.jpg", .jpeg), ("door-script-in-comment.jpg", .jpeg),
        ("door.png", .png), ("door.webp", .webp), ("door-lossless.webp", .webp), ("anim.webp", .webp),
        ("clip.mp4", .mp4), ("clip-fragmented.mp4", .mp4),
    ]

    @Test(arguments: sound)
    func `what an encoder made is taken, however it is cut into parts`(name: String, type: MediaType) throws {
        let bytes = try sample(name)
        for length in [1, 2, 3, 7, 64, .max] {
            #expect(inspect(bytes, as: type, by: length) == nil, "in parts of \(length)")
        }
    }

    @Test(arguments: sound)
    func `no file is taken that ends too early`(name: String, type: MediaType) throws {
        let bytes = try sample(name)
        // A fragmented film is whole again at the end of a fragment, and only there.
        let ends = (0..<bytes.count).filter { inspect(Array(bytes[..<$0]), as: type) == nil }
        #expect(ends.allSatisfy { name == "clip-fragmented.mp4" && $0 > 800 } && ends.count <= 1, "\(name): \(ends)")
    }

    @Test(arguments: sound)
    func `a file under another type's name is refused by its own name`(name: String, type: MediaType) throws {
        let bytes = try sample(name)
        for other in MediaType.allCases where other != type {
            #expect(inspect(bytes, as: other) == .otherType(found: type.rawValue))
        }
    }

    @Test(arguments: [
        ("door.gif", "image/gif"), ("door.avif", "image/avif"), ("clip.mov", "video/quicktime"),
    ])
    func `a type that is not taken is named`(name: String, found: String) throws {
        let bytes = try sample(name)
        #expect(inspect(bytes, as: name.hasPrefix("door.gif") ? .jpeg : .mp4) == .otherType(found: found))
    }

    @Test func `texts are no pictures`() {
        #expect(inspect([], as: .jpeg) == .empty)
        #expect(inspect([0xFF], as: .jpeg) == .otherType(found: nil))
        #expect(inspect(Array(" \n<!DOCTYPE html><script>".utf8), as: .png) == .otherType(found: "HTML or XML"))
        #expect(inspect(Array("%PDF-1.7 is not a film".utf8), as: .mp4) == .otherType(found: "application/pdf"))
        #expect(inspect(Array(repeating: 0, count: 64), as: .webp) == .otherType(found: nil))
    }

    @Test func `a signature alone is no picture`() {
        let endless: [(MediaType, [UInt8])] = [
            (.jpeg, [0xFF, 0xD8, 0xFF, 0xD9] + Array(repeating: 0, count: 20)),
            (.jpeg, [0xFF, 0xD8, 0xFF, 0xFE, 0, 0] + Array("<script>alert(1)</script>".utf8)),
            (.png, [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + Array("<html>................".utf8)),
            (.webp, Array("RIFF\u{10}\0\0\0WEBPVP8 \0\0\0\0".utf8)),
            (.mp4, [0, 0, 0, 16] + Array("ftypisom".utf8) + [0, 0, 0, 0, 0, 0, 0, 4] + Array("mdat".utf8)),
            (.mp4, [0, 0, 0, 16] + Array("ftypisom".utf8) + [0, 0, 0, 0, 0xFF, 0, 0, 0]),
        ]
        for (type, bytes) in endless {
            let problem = inspect(bytes, as: type)
            switch problem {
            case .damaged, .truncated: break
            case .empty, .otherType, nil: Issue.record("\(type): \(String(describing: problem))")
            }
        }
    }

    @Test func `no bytes whatever stop the inspection`() throws {
        var random = SeededGenerator(seed: Seed.announced(for: "media inspection"))
        for _ in 0..<2000 {
            let (name, type) = random.pick(Self.sound)
            var bytes = try sample(name)
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let whole = inspect(bytes, as: type)
            #expect(inspect(bytes, as: type, by: 5) == whole, "\(name): parts change what is found")
        }
    }

    @Test func `a content hash is hexadecimal and nothing else`() {
        let digits = String(repeating: "0a", count: 32)
        #expect(ContentHash(digits)?.text == digits)
        for text in [digits.uppercased(), digits + "0", "../" + digits.dropFirst(3), ""] {
            #expect(ContentHash(text) == nil)
        }
    }
}

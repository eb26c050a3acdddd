import Foundation
import HTTPTypes
import Logging
import Synchronization
import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger

@testable import TocsinServer

@Suite struct SnapshotKeepingTests {
    /// A crash as far as the code behind it can tell.
    struct Crash: Error {}

    private static func keeper(_ world: ServerWorld, days: Int = SnapshotKeeper.retentionDays) -> SnapshotKeeper {
        SnapshotKeeper(
            ledger: world.ledger,
            files: files(world),
            clock: world.clock,
            retentionDays: days,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }

    private static func files(_ world: ServerWorld) -> SnapshotFiles {
        SnapshotFiles(root: SnapshotFiles.root(in: world.dataDirectory), clock: world.clock)
    }

    @Test func `a crash between file and commit leaves a file, which a sweep removes once it is old`() async throws {
        let mayCrash = Atomic(true)
        try await ServerWorld.run(atFiles: { _ in if mayCrash.load(ordering: .relaxed) { throw Crash() } }) { world in
            let camera = try await world.camera()
            let answer = try await world.upload(try Sample.bytes("door.jpg"), to: camera)
            #expect(answer.status == 500)
            #expect(try world.files().count == 1)
            #expect(try await world.counts()["snapshot"] == 0)
            #expect(try await world.counts()["event"] == 0)

            let keeper = Self.keeper(world)
            // Its snapshot might be about to be stored.
            world.clock.advance(.seconds(3599))
            try await keeper.sweep()
            #expect(try world.files().count == 1)
            // And it may come again meanwhile, which makes it young.
            mayCrash.store(false, ordering: .relaxed)
            let made = try await world.upload(try Sample.bytes("door.jpg"), to: camera)
            world.clock.advance(.seconds(7200))
            try await keeper.sweep()
            #expect(try world.files().count == 1)
            #expect(try await world.fetch(try world.path(of: made.string("url"))).status == 200)

            mayCrash.store(true, ordering: .relaxed)
            _ = try await world.upload(try Sample.bytes("door.png"), as: "image/png", to: camera)
            world.clock.advance(.seconds(3600))
            try await keeper.sweep()
            #expect(try world.files().count == 1)
        }
    }

    @Test func `the same picture many times at once is one file and many snapshots`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let bytes = try Sample.jpeg(ofLength: 300_000)
            let ids = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<24 {
                    group.addTask { try await world.upload(bytes, to: camera).string("snapshot_id") }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(ids.count == 24)
            #expect(try world.files().count == 1)
            for id in ids {
                #expect(try await world.fetch("/v1/snapshots/\(id)/content", as: camera.key).bytes == bytes)
            }
        }
    }

    @Test func `a repeated upload with its key is answered again, and another file under it refused`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let key = ["Idempotency-Key": "upload-1"]
            let first = try await world.upload(try Sample.bytes("door.jpg"), to: camera, headers: key)
            let again = try await world.upload(try Sample.bytes("door.jpg"), to: camera, headers: key)
            #expect(again.status == 201)
            #expect(again.json == first.json)
            #expect(again.headers[.idempotencyReplayed] == "true")
            for (bytes, type, query) in [
                (try Sample.bytes("door.png"), "image/png", ""),
                (try Sample.bytes("door.jpg"), "image/jpeg", "?taken_at=2026-05-26T09:00:00Z"),
            ] {
                let other = try await world.upload(bytes, as: type, to: camera, query: query, headers: key)
                #expect((other.status, other.code) == (409, "idempotency_conflict"))
            }
            #expect(try world.files().count == 1)
            #expect(try await world.counts()["snapshot"] == 1)
        }
    }

    @Test func `what is over goes with its file, unless a younger snapshot has the same content`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            func upload(_ name: String, _ type: String) async throws -> String {
                try await world.upload(try Sample.bytes(name), as: type, to: camera).string("snapshot_id")
            }
            let (old, other) = (try await upload("door.jpg", "image/jpeg"), try await upload("door.png", "image/png"))
            world.clock.advance(.seconds(10 * 86_400))
            let young = try await upload("door.jpg", "image/jpeg")
            let keeper = Self.keeper(world)

            world.clock.advance(.seconds(20 * 86_400))
            #expect(try await keeper.purge() == 0)
            world.clock.advance(.milliseconds(1))
            #expect(try await keeper.purge() == 2)
            for id in [old, other] {
                #expect(try await world.fetch("/v1/snapshots/\(id)", as: camera.key).status == 404)
            }
            #expect(try await world.fetch("/v1/snapshots/\(young)/content", as: camera.key).status == 200)
            #expect(try world.files().count == 1)

            world.clock.advance(.seconds(10 * 86_400))
            #expect(try await keeper.purge() == 1)
            #expect(try world.files() == [])
        }
    }

    @Test func `a dealer's directory goes with the dealer, at once or by the next sweep`() async throws {
        try await ServerWorld.run { world in
            let (first, second, third) = (
                try await world.camera(), try await world.camera("Bolt"), try await world.camera("Core")
            )
            for camera in [first, second, third] {
                #expect(try await world.upload(try Sample.bytes("door.jpg"), to: camera).status == 201)
            }
            let gone = try await world.send(.delete, "/v1/dealers/\(first.dealer)?force=true", as: world.admin)
            #expect(gone.status == 204)
            #expect(try world.files().count == 2)
            try await world.ledger.write { try $0.deleteDealer(DealerID(stored: second.dealer)) }
            try await Self.keeper(world).sweep()
            let left = try world.files()
            #expect(left.count == 1)
            #expect(left.first?.hasPrefix("snapshots/\(third.dealer)/") ?? false)
            let directories = try FileManager.default.contentsOfDirectory(atPath: world.dataDirectory + "/snapshots")
            #expect(directories == [third.dealer])
        }
    }

    @Test func `a file that is gone or another is found, and never shown as the snapshot`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            let made = try await world.upload(try Sample.bytes("door.jpg"), to: camera)
            let id = try made.string("snapshot_id")
            let files = Self.files(world)
            let (content, size) = try #require(
                try await world.ledger.read { try $0.contents(after: nil, limit: 9) }.first
            )
            #expect(files.finding(of: content, size: size, isDeep: true) == nil)
            let path = world.dataDirectory + "/" + (try #require(try world.files().first))
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count - 3] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
            #expect(files.finding(of: content, size: size, isDeep: false) == nil)
            #expect(files.finding(of: content, size: size, isDeep: true)?.contains("something else") ?? false)
            try Data(bytes.dropLast()).write(to: URL(fileURLWithPath: path))
            #expect(files.finding(of: content, size: size, isDeep: false)?.contains("bytes long") ?? false)
            #expect(try await world.fetch("/v1/snapshots/\(id)/content", as: camera.key).status == 404)
            try FileManager.default.removeItem(atPath: path)
            #expect(files.finding(of: content, size: size, isDeep: false)?.contains("missing") ?? false)
            #expect(try await world.fetch("/v1/snapshots/\(id)/content", as: camera.key).status == 404)
        }
    }

    @Test func `what a crash broke off is gone before the next upload`() async throws {
        try await ServerWorld.run { world in
            let camera = try await world.camera()
            #expect(try await world.upload(try Sample.bytes("door.jpg"), to: camera).status == 201)
            let incoming = "\(world.dataDirectory)/snapshots/\(camera.dealer)/incoming"
            try Data([1, 2, 3]).write(to: URL(fileURLWithPath: incoming + "/snap_broken"))
            Self.files(world).removeBrokenOff()
            #expect(try FileManager.default.contentsOfDirectory(atPath: incoming) == [])
            #expect(try world.files().count == 1)
        }
    }
}

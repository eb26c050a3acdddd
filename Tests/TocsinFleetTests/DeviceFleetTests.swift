import Testing
import TocsinCore
import TocsinEngine
import TocsinJSON
import TocsinLedger
import TocsinLedgerSQLite

@testable import TocsinFleet

/// Devices and their bridges in a fleet file (decisions §12).
struct DeviceFleetTests {
    private static func site(_ devices: String) -> String {
        """
        dealers: [{name: Acme Security}]
        sites:
          - name: Shop
            dealer: Acme Security
            timezone: America/Chicago
            zones:
              - {number: 1, name: Hall, type: interior_instant, device: Camera}
            devices:
        \(devices)
        """
    }

    private static let devices = """
              - {name: Camera, type: camera, bridge: Bridge}
              - {name: Bridge, type: bridge}
        """

    @Test func `a device hangs on a bridge of the file, wherever that stands, and is exported so`() async throws {
        let world = try World()
        try await world.apply(Self.site(Self.devices))
        let site = try #require(try await world.site("Shop")).configuration.site.id
        let stored = try await world.ledger.read { try $0.devices(of: site, within: .platform) }
        let bridge = try #require(stored.first { $0.fixture.name == "Bridge" })
        let camera = try #require(stored.first { $0.fixture.name == "Camera" })
        #expect(camera.fixture.settings["bridge_id"]?.string == bridge.fixture.id && camera.slot != bridge.slot)

        let again = try await world.apply(Self.site(Self.devices))
        #expect(again.changes.isEmpty)
        let exported = try await world.ledger.read { try FleetExport($0).file() }
        let devices = exported["sites"]?.array?.first?["devices"]?.array
        #expect(devices?.last == ["name": "Camera", "type": "camera", "bridge": "Bridge"])
    }

    @Test(arguments: [
        "      - {name: Camera, type: camera, bridge: Elsewhere}",
        "      - {name: Camera, type: camera, bridge: Panel}\n      - {name: Panel, type: panel}",
    ])
    func `what is no bridge of the site is told with its line`(devices: String) async throws {
        let world = try World()
        let error = await #expect(throws: FleetError.self) { try await world.apply(Self.site(devices)) }
        let problems = error?.problems.map(\.description) ?? []
        let told = "sites[0].devices[0].bridge: neither the file nor the site has the bridge"
        #expect(problems.contains { $0.contains(told) }, "\(problems)")
    }

    @Test func `bridges hang on bridges in whatever order the file names them`() async throws {
        let world = try World()
        let chain = """
                  - {name: Camera, type: camera, bridge: Inner}
                  - {name: Inner, type: bridge, bridge: Outer}
                  - {name: Outer, type: bridge}
            """
        try await world.apply(Self.site(chain))
        #expect(try await world.apply(Self.site(chain)).changes.isEmpty)
        // What the file does not name is where it was: it still hangs on the inner one.
        let turned = Self.site(
            "      - {name: Camera, type: camera}\n      - {name: Outer, type: bridge, bridge: Inner}"
        )
        let error = await #expect(throws: FleetError.self) { try await world.apply(turned) }
        let told = error?.problems.map(\.description) ?? []
        #expect(told.contains { $0.contains("devices[1].bridge: “Outer” would hang on itself") }, "\(told)")
    }

    @Test(arguments: [
        "      - {name: Camera, type: bridge, bridge: Camera}",
        "      - {name: Camera, type: bridge, bridge: B}\n      - {name: B, type: bridge, bridge: Camera}",
    ])
    func `what would hang on itself is told with its line`(devices: String) async throws {
        let world = try World()
        let error = await #expect(throws: FleetError.self) { try await world.apply(Self.site(devices)) }
        let told = error?.problems.map(\.description) ?? []
        let sentence = "sites[0].devices[0].bridge: “Camera” would hang on itself"
        #expect(told.contains { $0.contains(sentence) && $0.contains("Take the bridge away") }, "\(told)")
    }

    @Test func `a bridge that carries another stays one`() async throws {
        let world = try World()
        try await world.apply(Self.site(Self.devices))
        // The camera stays where it is: the file does not name it.
        let turned = """
            dealers: [{name: Acme Security}]
            sites:
              - name: Shop
                dealer: Acme Security
                timezone: America/Chicago
                devices:
                  - {name: Bridge, type: panel}
            """
        let error = await #expect(throws: FleetError.self) { try await world.apply(turned) }
        let problems = error?.problems.map(\.description) ?? []
        #expect(problems.contains { $0.contains("must stay bridge while “Camera” hangs on it") }, "\(problems)")
    }

    @Test func `a pruned device leaves its zones without one, but not while they guard`() async throws {
        let world = try World()
        try await world.apply(Self.site(Self.devices))
        let site = try #require(try await world.site("Shop")).configuration.site.id
        let pruned = """
            dealers: [{name: Acme Security}]
            sites:
              - name: Shop
                dealer: Acme Security
                timezone: America/Chicago
                devices:
                  - {name: Bridge, type: bridge}
            """
        try await world.set(.armed(.away), of: "Shop")
        await #expect(throws: FleetError.self) { try await world.apply(pruned, FleetOptions(prunes: true)) }
        try await world.set(.disarmed, of: "Shop")
        try await world.apply(pruned, FleetOptions(prunes: true))
        let zones = try await world.ledger.read { try $0.fixtures(of: site, kind: .zone, within: .platform) }
        #expect(zones.count == 1 && zones[0].settings["device_id"] == nil)
    }
}

import GRDB
import TocsinCore
import TocsinLedger

extension SQLiteReading {
    func device(_ id: DeviceID, within reach: Reach) throws -> StoredDevice? {
        let found = try database.first("\(StoredDevice.select) WHERE fixture.id = ?", [id], read: StoredDevice.init)
        guard let found, try site(found.fixture.siteID, within: reach) != nil else { return nil }
        return found
    }

    func devices(of site: SiteID, within reach: Reach) throws -> [StoredDevice] {
        guard try self.site(site, within: reach) != nil else { return [] }
        return try database.all(
            "\(StoredDevice.select) WHERE fixture.site_id = ? AND fixture.kind = 'device' ORDER BY name",
            [site],
            read: StoredDevice.init
        )
    }

    func deviceEntries(after slot: Int?, limit: Int) throws -> [DeviceEntry] {
        try database.all(
            "\(DeviceEntry.select) WHERE slot > ? ORDER BY slot LIMIT ?",
            [slot ?? -1, limit],
            read: DeviceEntry.init
        )
    }

    func deviceEntries(of ids: [DeviceID]) throws -> [DeviceEntry] {
        let query = try PreparedStatement(database, "\(DeviceEntry.select) WHERE device.id = ?")
        return try ids.compactMap { try query.first($0, read: DeviceEntry.init) }
    }

    func deletedDevices(after number: Int64, limit: Int) throws -> [(number: Int64, slot: Int)] {
        try database.all(
            "SELECT number, slot FROM device_deletion WHERE number > ? ORDER BY number LIMIT ?",
            [number, limit]
        ) { (number: $0.integer(0), slot: $0.int(1)) }
    }

    func sightings(after number: Int?, limit: Int) throws -> [SightingBlock] {
        try database.all(
            "SELECT block, seen FROM device_sighting WHERE block > ? ORDER BY block LIMIT ?",
            [number ?? -1, limit]
        ) { SightingBlock(number: $0.int(0), stored: $0.bytes(1)) }
    }
}

extension SQLiteTransaction {
    func setFirmwareVersion(_ version: String?, of device: DeviceID) throws {
        try database.run("UPDATE device SET firmware_version = ? WHERE id = ?", [version, device])
    }

    func store(_ blocks: [SightingBlock]) throws {
        let insertion = try PreparedStatement(
            database,
            "INSERT OR REPLACE INTO device_sighting (block, seen) VALUES (?, ?)"
        )
        for block in blocks { try insertion.run(block.number, block.stored) }
    }

    func forgetDeletedDevices(upTo number: Int64) throws {
        try database.run("DELETE FROM device_deletion WHERE number <= ?", [number])
    }

    /// Gives a device that is made its slot.
    func insertDevice(_ fixture: Fixture) throws {
        try database.run("INSERT INTO device (id, site_id) VALUES (?, ?)", [fixture.id, fixture.siteID])
    }
}

extension DeviceChange {
    func store(_ database: Database) throws {
        switch self {
        case .wentOffline(let id): try database.run("UPDATE device SET is_offline = 1 WHERE id = ?", [id])
        case .cameBack(let id): try database.run("UPDATE device SET is_offline = 0 WHERE id = ?", [id])
        case .toldFirmware(let id, let version):
            try database.run("UPDATE device SET firmware_version = ? WHERE id = ?", [version, id])
        }
    }
}

extension StoredDevice {
    fileprivate static let select = """
        SELECT fixture.id, fixture.site_id, kind, number, name, settings, slot, firmware_version, is_offline
            FROM fixture JOIN device ON device.id = fixture.id
        """

    fileprivate init(_ row: ResultRow) throws {
        self.init(
            fixture: try Fixture(row),
            slot: row.int(6),
            firmwareVersion: row.optional(7, row.text),
            isOffline: row.bool(8)
        )
    }
}

extension DeviceEntry {
    fileprivate static let select = """
        SELECT slot, device.id, site_id, dealer_id, partner_id, firmware_version, is_offline
            FROM device JOIN site ON site.id = device.site_id
        """

    fileprivate init(_ row: ResultRow) {
        self.init(
            slot: row.int(0),
            id: row.id(1),
            siteID: row.id(2),
            dealerID: row.id(3),
            partnerID: row.optional(4, row.id),
            firmwareVersion: row.optional(5, row.text),
            isOffline: row.bool(6)
        )
    }
}

extension SightingBlock {
    fileprivate init(number: Int, stored: [UInt8]) {
        let seen = stored.withUnsafeBytes { bytes in
            (0..<bytes.count / 8).map {
                Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self))
            }
        }
        self.init(number: number, seen: seen)
    }

    fileprivate var stored: [UInt8] {
        seen.map(\.littleEndian).withUnsafeBytes { Array($0) }
    }
}

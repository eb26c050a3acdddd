import GRDB

/// The versions of the ledger's tables: forward only, one file each, never edited once released.
enum Schema {
    /// Marks a SQLite file as a ledger of ours: "TCSN".
    static let applicationID: Int32 = 0x5443_534E

    private static let migrations: [(name: String, migrate: @Sendable (Database) throws -> Void)] = [
        ("0001 tables", Migration0001.migrate),
        ("0002 platform arming", Migration0002.migrate),
        ("0003 notices", Migration0003.migrate),
        ("0005 alarms", Migration0005.migrate),
        ("0006 devices", Migration0006.migrate),
        ("0007 snapshots", Migration0007.migrate),
        ("0008 relays", Migration0008.migrate),
        ("0009 alarms of devices", Migration0009.migrate),
        ("0010 site states", Migration0010.migrate),
        ("0011 delivery tasks", Migration0011.migrate),
        ("0012 parked deliveries", Migration0012.migrate),
        ("0013 endpoint security", Migration0013.migrate),
        ("0014 packed logs", Migration0014.migrate),
        ("0015 audit chains", Migration0015.migrate),
        ("0016 event order", Migration0016.migrate),
        ("0017 remains", Migration0017.migrate),
        ("0018 attempt spans", Migration0018.migrate),
        ("0019 missed entries", Migration0019.migrate),
    ]

    /// The version that this program reads and writes.
    static var currentVersion: Int { migrations.count }

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        for (index, migration) in migrations.enumerated() {
            migrator.registerMigration(migration.name) { database in
                try migration.migrate(database)
                // The version in the header can be read without any table, by an older program too.
                try database.execute(sql: "PRAGMA user_version = \(index + 1)")
            }
        }
        return migrator
    }

    static func version(_ database: Database) throws -> Int {
        Int(try database.number("PRAGMA user_version"))
    }
}

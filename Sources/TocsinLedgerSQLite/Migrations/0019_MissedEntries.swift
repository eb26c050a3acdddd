import GRDB

/// A task tells how many entries of its range were gone when it was made.
enum Migration0019 {
    static func migrate(_ database: Database) throws {
        try database.execute(sql: "ALTER TABLE delivery_task ADD COLUMN missed INTEGER NOT NULL DEFAULT 0")
    }
}

import GRDB

/// Finds the alarm that a device's snapshot belongs to.
enum Migration0009 {
    static func migrate(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE INDEX alarm_device ON alarm (site_id, device_id, incident)
                    WHERE state <> 'resolved' AND device_id IS NOT NULL
                """
        )
    }
}

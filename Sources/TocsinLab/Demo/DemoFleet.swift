/// The fleet that the demo plays with, as the YAML file that a person would write for `tocsin apply`.
enum DemoFleet {
    static let shops = 200
    static let storySite = "Main Street 1"
    static let pasteSite = "Corner Bakery"

    static func shopName(_ number: Int) -> String {
        "Shop " + String(repeating: "0", count: 3 - min(3, String(number).count)) + "\(number)"
    }

    /// The file.
    ///
    /// - Parameters:
    ///   - receiver: The URL of the demo's receiver.
    ///   - exitSeconds: The exit delay of all sites: minutes in life, seconds here.
    ///   - entrySeconds: The entry delay of all sites.
    ///   - shopTimeZone: The time zone of the shop without a panel; it closes there at 18:00.
    /// - Returns: Its text.
    static func yaml(receiver: String, exitSeconds: Int, entrySeconds: Int, shopTimeZone: String) -> String {
        let head = """
            dealers:
              - name: Acme Security
                apps:
                  - name: front-office
                    scopes: [events:read, sites:read]
                    endpoints:
                      - url: \(receiver)
                        events: [arming.state_changed, partition.armed, partition.disarmed, arming.failed, arming.warning,
                          arming.exception, schedule.failed, alarm.created, alarm.activity, alarm.annotated, sync.overdue]
                  - name: keypads
                    scopes: [arming:write, devices:write, sites:read]
            partners:
              - name: PanelCo
                arming_model: partner_triggered
            sites:
              - name: \(DemoShop.name)
                external_site_id: books-1
                dealer: Acme Security
                timezone: \(shopTimeZone)
                partitions:
                  - {number: 1, name: Shop, exit_delay_seconds: {away: \(exitSeconds), stay: 0, night: 0}, \
            entry_delay_seconds: 30}
                zones:
                  - {number: 1, name: Front Door, type: exit_entry, kind: contact, partitions: [1]}
                  - {number: 5, name: Back Door, type: perimeter, kind: contact, partitions: [1]}
                users:
                  - {name: \(DemoShop.person), code: "\(DemoShop.code)"}
                schedules:
                  - {name: closing time, partition: 1, arm: away, at: "18:00", warning_minutes: 0}

            """
        let names = [storySite, pasteSite] + (1...shops).map(shopName)
        let sites = names.enumerated().map { index, name in
            """
              - name: \(name)
                external_site_id: panel-\(index + 1)
                dealer: Acme Security
                partner: PanelCo
                timezone: America/Chicago
                partitions:
                  - {number: 1, name: Shop, exit_delay_seconds: {away: \(exitSeconds), stay: 0, night: 0}, \
            entry_delay_seconds: \(entrySeconds)}
                zones:
                  - {number: 1, name: Front Door, type: exit_entry, kind: contact, partitions: [1]}
                  - {number: 5, name: Back Door, type: exit_entry, kind: contact, partitions: [1]}

            """
        }
        return head + sites.joined()
    }
}

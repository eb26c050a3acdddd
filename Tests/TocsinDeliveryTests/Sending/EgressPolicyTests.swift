import NIOCore
import Testing

@testable import TocsinDelivery

/// Address, then whether it may be used without and with the lab switch.
private let addresses = table(
    """
    1.1.1.1                   | yes | yes
    9.255.255.255             | yes | yes
    11.0.0.0                  | yes | yes
    100.63.255.255            | yes | yes
    100.128.0.0               | yes | yes
    172.15.255.255            | yes | yes
    172.32.0.0                | yes | yes
    192.167.255.255           | yes | yes
    198.17.255.255            | yes | yes
    198.20.0.0                | yes | yes
    223.255.255.255           | yes | yes
    2606:4700::1              | yes | yes
    2a00:1450:4001::200e      | yes | yes
    2001:4860:4860::8888      | yes | yes
    127.0.0.1                 | no  | yes
    127.255.255.254           | no  | yes
    10.0.0.0                  | no  | yes
    10.255.255.255            | no  | yes
    172.16.0.1                | no  | yes
    172.31.255.255            | no  | yes
    192.168.1.1               | no  | yes
    ::1                       | no  | yes
    fc00::1                   | no  | yes
    fdff::1                   | no  | yes
    ::ffff:127.0.0.1          | no  | yes
    ::ffff:192.168.0.1        | no  | yes
    64:ff9b::10.0.0.1         | no  | yes
    2002:7f00:1::             | no  | yes
    ::ffff:8.8.8.8            | no  | no
    ::ffff:169.254.169.254    | no  | no
    ::ffff:0:127.0.0.1        | no  | yes
    ::8.8.8.8                 | no  | no
    64:ff9b::8.8.8.8          | no  | no
    64:ff9b::a9fe:a9fe        | no  | no
    64:ff9b:1::1              | no  | no
    2002:808:808::1           | no  | no
    2002:a9fe:a9fe::          | no  | no
    2001::1                   | no  | no
    2001:2::1                 | no  | no
    2001:10::1                | no  | no
    2001:db8::1               | no  | no
    2001:0:808:808:0:ffff:80ff:fffe | no | no
    2606:4700::5efe:127.0.0.1 | no  | yes
    2606:4700::200:5efe:10.0.0.1 | no | yes
    2606:4700::5efe:8.8.8.8   | no  | no
    fe80::5efe:127.0.0.1      | no  | no
    2606:4700::5eff:127.0.0.1 | yes | yes
    ::127.0.0.1               | no  | yes
    ::ffff:0:8.8.8.8          | no  | no
    64:ff9b::127.0.0.1        | no  | yes
    64:ff9b:1:7f00:1::        | no  | no
    2002:a00:1::1             | no  | yes
    1fff:ffff::1              | no  | no
    169.254.170.2             | no  | no
    192.0.0.192               | no  | no
    100.100.100.200           | no  | no
    3fff::1                   | no  | no
    5f00::1                   | no  | no
    100::1                    | no  | no
    100:0:0:1::1              | no  | no
    fe80::1                   | no  | no
    febf::1                   | no  | no
    fec0::1                   | no  | no
    ff02::1                   | no  | no
    fd00:ec2::254             | no  | no
    fd20:ce::254              | no  | no
    4000::1                   | no  | no
    ::                        | no  | no
    0.0.0.0                   | no  | no
    0.1.2.3                   | no  | no
    100.64.0.1                | no  | no
    100.127.255.255           | no  | no
    168.63.129.16             | no  | no
    169.254.0.1               | no  | no
    169.254.169.254           | no  | no
    192.0.0.8                 | no  | no
    192.0.2.1                 | no  | no
    192.88.99.1               | no  | no
    198.18.0.1                | no  | no
    198.19.255.255            | no  | no
    198.51.100.7              | no  | no
    203.0.113.7               | no  | no
    224.0.0.1                 | no  | no
    239.255.255.255           | no  | no
    240.0.0.1                 | no  | no
    255.255.255.255           | no  | no
    """
)

@Suite
struct EgressPolicyTests {
    @Test(arguments: addresses)
    func `the table of addresses holds`(row: [String]) throws {
        try #require(row.count == 3)
        let address = try #require(IPAddress(row[0]))

        #expect((EgressPolicy.strict.verdict(for: address, port: 443) == .allowed) == (row[1] == "yes"))
        #expect((EgressPolicy.lab.verdict(for: address, port: 443) == .allowed) == (row[2] == "yes"))
    }

    @Test(arguments: [
        "1.2.3", "01.2.3.4", "1.2.3.4 ", "256.1.1.1", "", ":", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "fe80::1%eth0", "::1.2.3", "1:", "+1::", "g::",
    ])
    func `a text that is no canonical address is not read`(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: ["1.2.3.4", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "2001:db8::ff00:42:8329", "fe80::1"])
    func `an address is written as it is read`(text: String) throws {
        let address = try #require(IPAddress(text))

        #expect(address.description == text)
        #expect(IPAddress(packed: address.packed) == address)
        #expect(try address.socketAddress(port: 80).ipAddress == text)
    }

    @Test
    func `the own listener is refused even in a lab`() throws {
        let loopback = try #require(IPAddress("127.0.0.1"))
        let mapped = try #require(IPAddress("::ffff:127.0.0.1"))
        var policy = EgressPolicy.lab
        policy.ownListeners = [.init(address: loopback, port: 8080)]

        #expect(policy.verdict(for: loopback, port: 8080) == .refused(.ownListener))
        #expect(policy.verdict(for: mapped, port: 8080) == .refused(.ownListener))
        #expect(policy.verdict(for: loopback, port: 8081) == .allowed)
    }

    @Test(arguments: ["0.0.0.0", "::"])
    func `a listener on every address is refused on each local one`(bound: String) throws {
        let listener = try #require(IPAddress(bound))
        let own = try #require(IPAddress("8.8.8.8"))
        let other = try #require(IPAddress("8.8.4.4"))
        let policy = EgressPolicy(
            allowPrivate: true,
            ownListeners: [.init(address: listener, port: 8080)],
            localAddresses: [own]
        )

        for text in ["127.0.0.1", "127.9.9.9", "::1"] {
            let address = try #require(IPAddress(text))
            #expect(policy.verdict(for: address, port: 8080) == .refused(.ownListener))
        }
        #expect(policy.verdict(for: own, port: 8080) == .refused(.ownListener))
        #expect(policy.verdict(for: other, port: 8080) == .allowed)
    }

    @Test
    func `a public listener of ours is refused without the lab switch too`() throws {
        let own = try #require(IPAddress("8.8.8.8"))
        let policy = EgressPolicy(ownListeners: [.init(address: own, port: 443)])

        #expect(policy.verdict(for: own, port: 443) == .refused(.ownListener))
    }

    @Test
    func `this machine's loopback is among its interfaces`() throws {
        #expect(EgressPolicy.interfaceAddresses().contains(try #require(IPAddress("127.0.0.1"))))
    }
}

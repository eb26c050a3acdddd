import NIOCore

/// Where webhooks may go: asked when an endpoint is registered, and for every address at every attempt.
///
/// Without `allowPrivate` only public addresses on the usual web ports, by https. The lab switch opens loopback and
/// private addresses, any port and http, but never link-local, metadata, multicast or one of our own listeners
/// (delivery.md, SSRF).
package struct EgressPolicy: Sendable {
    /// A socket this program listens on; an unspecified address stands for every local address.
    package struct Listener: Hashable, Sendable {
        package let address: IPAddress
        package let port: Int

        package init(address: IPAddress, port: Int) {
            self.address = address
            self.port = port
        }
    }

    package enum Refusal: Hashable, Sendable {
        case address(AddressClass)
        case ownListener
        case port(Int)

        /// A clause that follows "the host is" or "the host resolves to"; it names no address, for it is shown to tenants.
        package var clause: String {
            switch self {
            case .address(let means): "\(means.noun), which endpoints may not use"
            case .ownListener: "an address this server itself listens on"
            case .port(let port): "port \(port), which endpoints may not use"
            }
        }
    }

    package enum Verdict: Hashable, Sendable {
        case allowed
        case refused(Refusal)
    }

    /// The ports that web servers use; everything else would make this program a port scanner.
    package static let webPorts: Set<Int> = [80, 443, 8080, 8443]

    package var allowPrivate: Bool
    package var allowedPorts: Set<Int>
    package var ownListeners: [Listener]
    /// Addresses of this machine's interfaces; loopback always counts as local.
    package var localAddresses: Set<IPAddress>

    package init(
        allowPrivate: Bool = false,
        allowedPorts: Set<Int> = Self.webPorts,
        ownListeners: [Listener] = [],
        localAddresses: Set<IPAddress> = []
    ) {
        self.allowPrivate = allowPrivate
        self.allowedPorts = allowedPorts
        self.ownListeners = ownListeners
        self.localAddresses = localAddresses
    }

    package func allows(port: Int) -> Bool {
        (1...65535).contains(port) && (allowPrivate || allowedPorts.contains(port))
    }

    package func verdict(for address: IPAddress, port: Int) -> Verdict {
        guard allows(port: port) else { return .refused(.port(port)) }
        let means = AddressClass(of: address)
        switch means {
        case .publicInternet:
            break
        case .loopback, .privateNetwork:
            guard allowPrivate else { return .refused(.address(means)) }
        case .embedded(let inner):
            guard allowPrivate, isPrivate(inner) else { return .refused(.address(means)) }
            return verdict(for: IPAddress(v4: inner), port: port)
        case .linkLocal, .metadata, .carrierNAT, .multicast, .unspecified, .documentation, .benchmark, .reserved,
            .siteLocal, .discard, .teredo:
            return .refused(.address(means))
        }
        return isOwnListener(address, port: port, loopback: means == .loopback) ? .refused(.ownListener) : .allowed
    }

    private func isPrivate(_ v4: UInt32) -> Bool {
        let means = AddressClass(of: IPAddress(v4: v4))
        return means == .loopback || means == .privateNetwork
    }

    private func isOwnListener(_ address: IPAddress, port: Int, loopback: Bool) -> Bool {
        ownListeners.contains { listener in
            guard listener.port == port else { return false }
            if listener.address == address { return true }
            // A dual-stack socket on :: also answers IPv4, so the families need not match.
            return AddressClass(of: listener.address) == .unspecified
                && (loopback || localAddresses.contains(address))
        }
    }

    /// The addresses of this machine's interfaces now, for `localAddresses`.
    package static func interfaceAddresses() -> Set<IPAddress> {
        let devices = (try? System.enumerateDevices()) ?? []
        return Set(
            devices.compactMap { device in
                // A link-local address carries its interface behind a percent sign.
                device.address?.ipAddress.flatMap { text in
                    IPAddress(text.prefix { $0 != "%" }.description)
                }
            }
        )
    }
}

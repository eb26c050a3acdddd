/// A mistake put into the machine on purpose: it distorts what one rule came to, from outside.
///
/// The explorer must find every one; the machine itself holds no switch for any of them.
package struct SeededFault: Sendable, CustomStringConvertible {
    package let name: String
    /// The row of the transition table that it breaks.
    package let row: String
    /// The configuration in which it shows.
    package let site: SimulatedSite
    let distort: @Sendable (inout Transition) -> Void

    package var description: String { "\(row) \(name)" }

    init(
        _ row: String,
        _ name: String,
        in site: SimulatedSite,
        _ distort: @escaping @Sendable (inout Transition) -> Void
    ) {
        self.row = row
        self.name = name
        self.site = site
        self.distort = distort
    }
}

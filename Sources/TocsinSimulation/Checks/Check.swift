/// A rule that every transition must keep, with the id under which design, arming, names it.
package struct Check: Sendable {
    /// The invariant (`I1` … `I22`) or the row (`T01` … `T47`).
    package let id: String
    package let rule: String
    /// What is wrong, in words; none where the rule is kept.
    package let complaint: @Sendable (Transition) -> String?

    package init(_ id: String, _ rule: String, _ complaint: @escaping @Sendable (Transition) -> String?) {
        self.id = id
        self.rule = rule
        self.complaint = complaint
    }

    /// Everything that is checked at every transition.
    ///
    /// I16 and I23 are not of the pure machine: the suites of the delivery and of the ledgers show them.
    package static let all = invariants + visibility + rows

    /// The first rule that the transition breaks.
    package static func violation(of transition: Transition) -> Violation? {
        for check in all {
            if let complaint = check.complaint(transition) { return Violation(check: check, complaint: complaint) }
        }
        return nil
    }
}

/// A rule that was broken, and how.
package struct Violation: Sendable, CustomStringConvertible {
    package let id: String
    package let rule: String
    package let complaint: String

    init(check: Check, complaint: String) {
        id = check.id
        rule = check.rule
        self.complaint = complaint
    }

    package var description: String { "\(id) (\(rule)): \(complaint)" }
}

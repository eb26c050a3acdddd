/// A member of at most one `AgeList`.
protocol Aged: AnyObject {
    var older: Self? { get set }
    var newer: Self? { get set }
}

/// A list in order of age from which any member is removed in constant time.
///
/// All members of one list live equally long, so the oldest is always the next to expire: one timer serves them all,
/// and nothing is scheduled or cancelled per member.
struct AgeList<Member: Aged> {
    private(set) var oldest: Member?
    private var newest: Member?
    private(set) var count = 0

    mutating func append(_ member: Member) {
        member.older = newest
        newest?.newer = member
        newest = member
        if oldest == nil { oldest = member }
        count += 1
    }

    /// The member must be in this list.
    mutating func remove(_ member: Member) {
        if let older = member.older { older.newer = member.newer } else { oldest = member.newer }
        if let newer = member.newer { newer.older = member.older } else { newest = member.older }
        member.older = nil
        member.newer = nil
        count -= 1
    }
}

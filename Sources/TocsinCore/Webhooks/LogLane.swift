/// A queue that gives back what it no longer needs.
struct Queue<Element: Sendable>: Sendable {
    private var items: [Element?] = []
    private var head = 0

    var isEmpty: Bool { head == items.count }
    var count: Int { items.count - head }
    var elements: [Element] { items[head...].compactMap { $0 } }

    mutating func append(_ element: Element) { items.append(element) }

    mutating func prepend(_ element: Element) {
        if head > 0 {
            head -= 1
            items[head] = element
        } else {
            items.insert(element, at: 0)
        }
    }

    var first: Element? { head < items.count ? items[head] : nil }
    var last: Element? { items.last ?? nil }

    mutating func removeLast() {
        guard !isEmpty else { return }
        items.removeLast()
        if head == items.count {
            items.removeAll()
            head = 0
        }
    }

    mutating func popFirst() -> Element? {
        guard head < items.count, let element = items[head] else { return nil }
        items[head] = nil
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: head <= Self.keptCapacity)
            head = 0
        } else if head >= Self.keptCapacity, head * 2 > items.count {
            items.removeFirst(head)
            head = 0
        }
        return element
    }

    /// Changes every element in place, first to last.
    mutating func update(_ change: (inout Element) -> Void) {
        for index in items.indices[head...] {
            guard var element = items[index] else { continue }
            items[index] = nil
            change(&element)
            items[index] = element
        }
    }

    /// Inserts before the first element that `isAfter` holds for.
    mutating func insert(_ element: Element, before isAfter: (Element) -> Bool) {
        let index = items[head...].firstIndex { $0.map(isAfter) ?? false } ?? items.count
        items.insert(element, at: index)
    }

    /// An empty queue keeps no more room than this.
    private static var keptCapacity: Int { 64 }
}

/// One dealer's log as one endpoint reads it: what was seen, what of that is still open, and so where the cursor stands.
struct LogLane: Sendable {
    let dealerID: DealerID
    /// Every event up to here was looked at: taken, or not for this endpoint.
    var seenTo: Int64
    /// The log is known to reach to here.
    var tail: Int64
    /// The cursor as it was last put out to be recorded.
    var savedCursor: Int64
    /// Up to here rows in the retry table may be ahead of the cursor: the log's end when the lane was made.
    let recoverTo: Int64
    var isListedAsMoved = false
    /// Events in front of `seenTo` that were taken ahead, and whether they have a row by now.
    var ahead: [Int64: Bool] = [:]
    /// Alarms between `seenTo` and here were looked for.
    var soughtTo: Int64 = 0
    /// The last of them that the log's reading has passed: only its row tells of it by now.
    var passedAhead: Int64 = 0
    /// With order: rows of events in front of `seenTo`, which have their turn when the log's reading comes to them.
    var early: [Int64: EndpointConsumer.Held] = [:]
    private var sequences: [Int64] = []
    private var isDone: [Bool] = []
    private var head = 0

    init(dealerID: DealerID, cursor: Int64, tail: Int64) {
        self.dealerID = dealerID
        self.tail = max(cursor, tail)
        seenTo = cursor
        savedCursor = cursor
        recoverTo = tail
    }

    /// The end of the done part of the log that has no gap.
    var cursor: Int64 { head < sequences.count ? sequences[head] - 1 : seenTo }
    /// Events that were taken and are not behind the cursor yet.
    var openCount: Int { sequences.count - head }
    /// The log holds events that were not looked at.
    var isBehind: Bool { seenTo < tail }
    var isRecovering: Bool { seenTo < recoverTo }
    /// Up to here no alarm waits to be taken ahead.
    var searchEnd: Int64 { max(seenTo, soughtTo) }
    /// Alarms may lie in front of what was looked at, and nobody has looked for them.
    var isUnsought: Bool { searchEnd < tail }

    mutating func open(_ sequence: Int64) {
        sequences.append(sequence)
        isDone.append(false)
    }

    /// Gives an event back to the log, if it is the last that was taken; false if it is not.
    mutating func giveBack(_ sequence: Int64) -> Bool {
        guard sequence > passedAhead, head < sequences.count, sequences.last == sequence, isDone.last == false else {
            return false
        }
        sequences.removeLast()
        isDone.removeLast()
        seenTo = sequence - 1
        return true
    }

    /// Notes that an event that was taken ahead gets a row; false if it stands in the lane by now, or has one.
    mutating func leaveAhead(_ sequence: Int64) -> Bool {
        guard ahead[sequence] == false else { return false }
        ahead[sequence] = true
        return true
    }

    func isOpen(_ sequence: Int64) -> Bool {
        guard let index = index(of: sequence) else { return false }
        return !isDone[index]
    }

    /// Marks a taken event as delivered, turned into a row, or withdrawn.
    mutating func close(_ sequence: Int64) {
        guard let index = index(of: sequence) else { return }
        isDone[index] = true
        while head < isDone.count, isDone[head] { head += 1 }
        if head == isDone.count {
            sequences.removeAll(keepingCapacity: head <= 64)
            isDone.removeAll(keepingCapacity: head <= 64)
            head = 0
        } else if head >= 64, head * 2 > isDone.count {
            sequences.removeFirst(head)
            isDone.removeFirst(head)
            head = 0
        }
    }

    private func index(of sequence: Int64) -> Int? {
        var low = head
        var high = sequences.count
        while low < high {
            let middle = (low + high) / 2
            if sequences[middle] < sequence { low = middle + 1 } else { high = middle }
        }
        return low < sequences.count && sequences[low] == sequence ? low : nil
    }
}

import TocsinCore
import TocsinLedger

/// Recently used sites, bounded; what falls out is loaded again when needed.
///
/// Two generations: when the young one is full it becomes the old one, and what is used again moves up. That forgets
/// roughly the least recently used half at the cost of one dictionary swap.
struct SiteCache {
    private let generationSize: Int
    private var young: [SiteID: SiteRecord] = [:]
    private var old: [SiteID: SiteRecord] = [:]
    /// What was decided ahead on these records.
    var foresight: Foresight

    init(capacity: Int, _ foresight: Foresight) {
        generationSize = max(1, capacity / 2)
        self.foresight = foresight
    }

    mutating func find(_ id: SiteID) -> SiteRecord? {
        if let record = young[id] { return record }
        guard let record = old.removeValue(forKey: id) else { return nil }
        store(record, for: id)
        return record
    }

    mutating func store(_ record: SiteRecord, for id: SiteID) {
        if young.count >= generationSize, young[id] == nil {
            old = young
            young = [:]
        }
        young[id] = record
    }

    mutating func forget(_ id: SiteID) {
        young[id] = nil
        old[id] = nil
    }
}

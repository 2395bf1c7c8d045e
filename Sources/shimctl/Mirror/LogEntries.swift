/// What the slots of a mirror's log hold. A pass goes through a device from its beginning to its end, so that the pages
/// stand in order as a rule; then it takes no table to find one, which costs two look-ups for each page that is copied.
struct LogEntries {
    /// Of each slot in use.
    private var entries: [(page: UInt64, checksum: UInt32)] = []
    private var isInOrder = true
    /// The slot of each page, where they are not in order.
    private var slots: [UInt64: Int] = [:]

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }

    subscript(slot: Int) -> (page: UInt64, checksum: UInt32) { entries[slot] }

    /// Slots by the numbers of their pages.
    var byPage: [Int] {
        isInOrder ? Array(entries.indices) : entries.indices.sorted { entries[$0].page < entries[$1].page }
    }

    /// - Returns: nothing where no slot has it; of several the last one.
    func slot(of page: UInt64) -> Int? {
        guard isInOrder else { return slots[page] }
        guard let last = entries.last, page <= last.page else { return nil }
        var (low, high) = (0, entries.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].page < page { low = middle + 1 } else { high = middle }
        }
        return entries[low].page == page ? low : nil
    }

    mutating func append(_ page: UInt64, _ checksum: UInt32) {
        if isInOrder, let last = entries.last, page <= last.page {
            isInOrder = false
            for (slot, entry) in entries.enumerated() { slots[entry.page] = slot }
        }
        if !isInOrder { slots[page] = entries.count }
        entries.append((page, checksum))
    }

    mutating func replace(_ slot: Int, checksum: UInt32) { entries[slot].checksum = checksum }
}

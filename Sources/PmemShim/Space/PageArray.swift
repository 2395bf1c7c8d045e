import CShimSys

/// The page descriptors of a device, or of a part of one, in memory shared with every other process that uses it.
///
/// The memory is *soft*: anybody who may map it can scribble over it at any time. So nothing in it is used as an index,
/// a length or a number of rounds; what it says is a hint, and the worst a wrong one costs is speed. It may also be
/// *unmapped from below* (its file cut short, its file system full). Every access is guarded (``ps_soft_load``): where
/// the handler stands and the thread can take the signal, such a word reads as 0, and a change to it is dropped.
///
/// All functions are safe with any number of threads and processes, allocate nothing, call nothing, and end after a
/// bounded number of steps, whatever others do. A process that is killed within one leaves nothing that another would
/// have to wait for or repair.
package struct PageArray: @unchecked Sendable {
    /// Descriptors, 64 bytes each, from page 0 on.
    let base: UnsafeMutableRawPointer
    package let pageCount: UInt64
    /// Low half of the attach generation.
    package let tag: UInt32
    /// Groups have memory only where the word at ``Field/present`` says so, one bit for each; elsewhere nothing is
    /// touched, for even a load would allocate. For arrays of one section.
    let isSparse: Bool

    /// - Parameters:
    ///   - base: 8-byte aligned; it stays mapped, readable and writable as long as this is used.
    ///   - byteCount: of the memory at `base`.
    ///   - pageCount: pages there are; those whose descriptors do not lie within `byteCount` are left out.
    ///   - tag: low half of the attach generation.
    ///   - isSparse: see ``isSparse``; the first 4 KiB have memory in any case.
    /// - Returns: nothing for memory that is not aligned, or a tag of 0.
    package init?(
        base: UnsafeMutableRawPointer, byteCount: Int, pageCount: UInt64, tag: UInt32, isSparse: Bool = false
    ) {
        guard UInt(bitPattern: base) & 7 == 0, byteCount >= 0, tag != 0 else { return nil }
        self.base = base
        self.pageCount = min(pageCount, UInt64(byteCount) / UInt64(PS_DEVICE_DESCRIPTOR))
        self.tag = tag
        self.isSparse = isSparse
    }

    /// Whether the descriptors of page `page` have memory.
    @inline(__always)
    package func isPresent(_ page: UInt64) -> Bool {
        guard isSparse else { return true }
        return load(word(0, .present)) >> ((page / groupPages) & 63) & 1 != 0
    }

    /// Says that they have, once that is so.
    package func notePresent(_ page: UInt64) {
        let word = word(0, .present)
        var seen = load(word)
        for _ in 0..<4_096 {
            let wanted = seen | 1 << ((page / groupPages) & 63)
            if wanted == seen || ps_soft_exchange(word, &seen, wanted) != 2 { return }
        }
    }

    /// What one call has brought into its initial state: of all who race for a layer, one is told so.
    package struct Initialised: OptionSet, Equatable, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let section = Initialised(rawValue: 1)
        package static let group = Initialised(rawValue: 2)
    }

    /// Makes page `page` ready for use: its section, its group with all the group's pages, each where that has not been
    /// done under this generation. Two loads when it has.
    ///
    /// Whoever comes in the middle does what is left to be done, and does not wait: every step takes one word from
    /// another generation to this by compare-and-exchange, and changes nothing where that has been done. A group's bit
    /// is set after all its pages', so that it may be believed.
    ///
    /// - Returns: nothing where there is no such page.
    @discardableResult
    package func prepare(_ page: UInt64) -> Initialised? {
        guard page < pageCount, isPresent(page) else { return nil }
        let group = page & ~(groupPages &- 1)
        let section = page & ~(sectionPages &- 1)
        if isReady(word(section, .section)), isReady(word(group, .group)) { return [] }
        var done: Initialised = []
        // A group's word counts by its own generation, so that there is nothing below a section to be put right first.
        if setReady(word(section, .section)) { done.insert(.section) }
        let end = min(group &+ groupPages, pageCount)
        var index = group
        while index < end {
            change(word(index, .page)) { $0 | PageFlags.ready.rawValue }
            index &+= 1
        }
        if setReady(word(group, .group)) { done.insert(.group) }
        return done
    }

    @inline(__always)
    private func isReady(_ word: UnsafeMutablePointer<UInt64>) -> Bool {
        PageWord(bits: load(word)).value(under: tag) & ready != 0
    }

    /// - Returns: true if it was this call that took the word to `ready`.
    private func setReady(_ word: UnsafeMutablePointer<UInt64>) -> Bool {
        change(word) { $0 | ready } & ready == 0
    }

    /// Gives `word` the value that `body` makes of the one it has (0 if it is of another generation), in one atomic
    /// step.
    ///
    /// Every failed attempt means that another has changed the word. After 4,096 of them in a row somebody does nothing
    /// else, and the change is dropped: it is a hint.
    ///
    /// - Returns: the value before; *ready* where the change was dropped.
    @inline(__always)
    @discardableResult
    func change(_ word: UnsafeMutablePointer<UInt64>, _ body: (UInt32) -> UInt32) -> UInt32 {
        var seen = load(word)
        var attempts = 0
        while attempts < 4_096 {
            let before = PageWord(bits: seen).value(under: tag)
            let after = PageWord(flags: body(before), tag: tag).bits
            if after == seen { return before }
            let outcome = ps_soft_exchange(word, &seen, after)
            if outcome == 0 { return before }
            // Nobody has the memory: nothing was ready, and nothing has been made so by this call.
            if outcome == 1 { return ready }
            attempts &+= 1
        }
        return ready
    }

    /// The words of a descriptor, by their distance from its start, bytes.
    enum Field: Int {
        case page = 0
        case group = 8
        case section = 16
        case ownerInode = 24
        case ownerIndex = 32
        case reads = 40
        case writes = 48
        /// In the first descriptor of a section of a sparse array; in the second of any: ``told``.
        case present = 56

        static let told = Field.present
    }

    /// - Parameter page: below ``pageCount``; the callers have looked.
    @inline(__always)
    func word(_ page: UInt64, _ field: Field) -> UnsafeMutablePointer<UInt64> {
        let distance = Int(truncatingIfNeeded: page) &* Int(PS_DEVICE_DESCRIPTOR) &+ field.rawValue
        return (base + distance).assumingMemoryBound(to: UInt64.self)
    }

    /// 0 where the memory is not there.
    @inline(__always)
    func load(_ word: UnsafeMutablePointer<UInt64>) -> UInt64 {
        var value: UInt64 = 0
        return ps_soft_load(word, &value) == 0 ? value : 0
    }
}

private let ready = UInt32(PS_LAYER_READY.rawValue)
private let groupPages = UInt64(PS_DEVICE_GROUP_PAGES)
private let sectionPages = UInt64(PS_DEVICE_SECTION_PAGES)

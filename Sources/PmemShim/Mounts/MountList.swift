/// The items of PMEMSHIM_MOUNTS: colon-separated directories, each absolute, `pagecache` after one is its option.
struct MountList {
    /// One directory and its option; offsets into the text.
    struct Item: Equatable {
        var start: Int
        var count: Int
        var allowsPageCache: Bool
    }

    private let text: UnsafePointer<UInt8>
    private let end: Int
    private var at = 0
    /// True once an item was neither an absolute directory nor an option that follows one.
    private(set) var sawBadItem = false

    init(_ text: UnsafePointer<UInt8>) {
        self.text = text
        end = length(text)
    }

    /// The next directory; bad items are skipped and remembered.
    mutating func next() -> Item? {
        while at < end {
            let item = field()
            guard item.count > 0 else { continue }  // "a::b" and a closing colon are harmless
            guard text[item.start] == slash, item.count < longestPath else {
                sawBadItem = true
                continue
            }
            let before = at
            let option = field()
            if isPageCache(option) { return Item(start: item.start, count: item.count, allowsPageCache: true) }
            at = before
            return Item(start: item.start, count: item.count, allowsPageCache: false)
        }
        return nil
    }

    private mutating func field() -> (start: Int, count: Int) {
        let start = at
        while at < end, text[at] != colon { at &+= 1 }
        let count = at &- start
        if at < end { at &+= 1 }
        return (start, count)
    }

    private func isPageCache(_ field: (start: Int, count: Int)) -> Bool {
        let name: StaticString = "pagecache"
        guard field.count == name.utf8CodeUnitCount else { return false }
        for index in 0..<field.count where text[field.start &+ index] != name.utf8Start[index] { return false }
        return true
    }
}

private let colon: UInt8 = 58

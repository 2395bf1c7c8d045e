import Testing

@testable import PmemShim

@Suite("PMEMSHIM_MOUNTS is read as directories with an option")
struct MountListTests {
    private func items(_ text: String) -> (items: [String], bad: Bool) {
        withText(text) { pointer in
            var list = MountList(pointer)
            var found: [String] = []
            while let item = list.next() {
                let path = String(bytes: UnsafeBufferPointer(start: pointer + item.start, count: item.count))
                found.append(item.allowsPageCache ? path + "+pagecache" : path)
            }
            return (found, list.sawBadItem)
        }
    }

    @Test func colonsSeparateDirectories() {
        #expect(items("/mnt/pmem:/dev/shm/db").items == ["/mnt/pmem", "/dev/shm/db"])
    }

    @Test func pagecacheBelongsToTheDirectoryBeforeIt() {
        #expect(items("/a:pagecache:/b").items == ["/a+pagecache", "/b"])
        #expect(items("/a:/b:pagecache").items == ["/a", "/b+pagecache"])
    }

    @Test func emptyItemsAreHarmless() {
        #expect(items(":/a::/b:").items == ["/a", "/b"])
        #expect(!items(":/a::/b:").bad)
        #expect(items("").items.isEmpty)
    }

    @Test func aRelativeDirectoryIsLeftOutAndRemembered() {
        #expect(items("data:/a").items == ["/a"])
        #expect(items("data:/a").bad)
    }

    @Test func anOptionWithoutADirectoryIsBad() {
        #expect(items("pagecache:/a").bad)
        #expect(items("/a:pagecache:pagecache").bad)
        #expect(items("/a:PageCache").items == ["/a"])
        #expect(items("/a:PageCache").bad)
    }

    @Test func aDirectoryLongerThanAPathCanBeIsBad() {
        #expect(items("/" + String(repeating: "x", count: 5_000)).bad)
    }
}

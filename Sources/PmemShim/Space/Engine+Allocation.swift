import CShimSys
import Synchronization

// Files with holes. On tmpfs a load from a hole allocates its page, and elsewhere a store allocates more than the
// kernel's write would; so what is served must be allocated. Three kinds of knowledge, each a hint that may be out of
// date, at the price of a page that is allocated where the kernel would have given zeros:
//
// - a region all of whose pages are allocated is hot, and served like any other (nothing on that way asks about holes);
// - below that, pages are served one by one whose *allocated* bit is set in the page array, which all processes of the
//   user share: a write through the kernel sets it, and so does a look at what the kernel says;
// - `top`, the last page known to be allocated, takes the place of the file's last page: the end probe must not fill a
//   hole.
extension Engine {
    /// Whether the pages of [offset, offset + count) are known to be allocated, one by one, in a region that has seen
    /// enough calls to be hot. Asked only where ``Target/looksServable(_:_:limit:)`` has said no.
    @inline(__always)
    func arePagesKnown(_ target: Target, _ offset: Int64, _ count: Int, limit: Int64) -> Bool {
        target.inode.has(InodeFlag.sparse) && arePagesAllocated(target, offset, count, limit: limit)
    }

    @inline(never)
    private func arePagesAllocated(_ target: Target, _ offset: Int64, _ count: Int, limit: Int64) -> Bool {
        guard count > 0, count <= Allocation.longest, offset >= 0, offset <= limit, Int64(count) <= limit &- offset,
            isWarm(target, offset)
        else { return false }
        var at = offset & ~4_095
        while at < offset &+ Int64(count) {
            guard let place = knownPlace(target.inode, at) else { return false }
            let flags = place.flags
            guard flags.contains(.allocated), !flags.contains(.bad) else { return false }
            at &+= 4_096
        }
        target.inode.noteWorth()
        return true
    }

    /// Whether the pages that [start, end) touches, at most two, are known to be allocated already.
    func isTold(_ inode: UnsafeMutablePointer<Inode>, from start: Int64, to end: Int64) -> Bool {
        guard start >= 0, start < end, end &- start <= 4_096 else { return false }
        guard let first = knownPlace(inode, start), let last = knownPlace(inode, end &- 1) else { return false }
        return first.flags.contains(.allocated) && last.flags.contains(.allocated)
    }

    func isWarm(_ target: Target, _ offset: Int64) -> Bool {
        let geometry = Geometry(bits: target.inode.pointee.geometry.load(ordering: .relaxed))
        return target.inode.heat(offset, geometry) >= geometry.warmest
    }

    /// Asks the kernel about the 64 pages that `offset` lies among, and tells what it says to all.
    func look(_ target: Target, _ offset: Int64) {
        let first = UInt64(offset >> 12) & ~63
        let bits = allocatedPages(target.inode, target.fd, first, 64)
        let isMemory = isMemory(target.inode)
        for index in 0..<UInt64(64) where bits >> index & 1 != 0 {
            guard let place = place(target.inode, Int64(bitPattern: (first &+ index) << 12), fd: target.fd) else {
                break
            }
            target.inode.set(InodeFlag.hinted)
            place.insert(.allocated)
        }
        // After that: the array may have been mapped by it, and say of pages before the first what was true once.
        // Elsewhere than on tmpfs what was written a moment ago has no place on the device yet.
        for index in 0..<UInt64(64) where isMemory && bits >> index & 1 == 0 {
            let known = knownPlace(target.inode, Int64(bitPattern: (first &+ index) << 12))
            if let known, known.flags.contains(.allocated) { known.remove(.allocated) }
        }
        if bits != 0 {
            let highest = first &+ 63 &- UInt64(bits.leadingZeroBitCount)
            raiseTop(target.inode, Int64(bitPattern: highest << 12))
        }
    }

    /// The page that begins at `page`, bytes, is allocated: the last one that is known to be, if it is behind that.
    func raiseTop(_ inode: UnsafeMutablePointer<Inode>, _ page: Int64) {
        let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
        let most = inode.pointee.length.load(ordering: .relaxed) &- 4_096
        guard page > inode.pointee.top.load(ordering: .relaxed), page <= min(most, 64 << geometry.regionShift) else {
            return
        }
        inode.pointee.top.store(page, ordering: .relaxed)
        inode.updateLimits()
    }

    /// Which of `count` pages (at most 64) of the file are allocated, as the kernel tells; 0 where it does not.
    private func allocatedPages(
        _ inode: UnsafeMutablePointer<Inode>, _ fd: Int32, _ first: UInt64, _ count: UInt32
    ) -> UInt64 {
        let base = inode.pointee.base.load(ordering: .acquiring)
        let length = inode.pointee.length.load(ordering: .acquiring)
        let end = Int64(bitPattern: first &+ UInt64(count)) << 12
        guard base != 0, end > 0, end < length else { return 0 }
        guard isMemory(inode) else { return ps_sys_extent_pages(fd, first, count) }
        return ps_sys_memory_pages(
            fd, base, base &+ UInt(length) &- 4_096, first, count, inode.has(InodeFlag.unwritten))
    }

    /// Makes the region of `offset` hot if all of its pages are allocated.
    func proveRegion(_ target: Target, _ offset: Int64) {
        let inode = target.inode
        let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
        // One of them is 0 now and then, for another reason.
        let limit = max(
            inode.pointee.readLimit.load(ordering: .relaxed), inode.pointee.writeLimit.load(ordering: .relaxed))
        let start = (offset >> geometry.regionShift) << geometry.regionShift
        let lastPage = (inode.pointee.size.load(ordering: .relaxed) &- 1) & ~4_095
        var end = start &+ Int64(1) << geometry.regionShift
        // The last region ends with the file. No other may be looked at in part: the limit will rise.
        if end > limit, limit == lastPage { end = limit }
        let base = inode.pointee.base.load(ordering: .acquiring)
        let length = inode.pointee.length.load(ordering: .acquiring)
        guard base != 0, offset < end, end <= limit, end < length, end &- start <= Allocation.longestRegion else {
            return
        }
        let first = UInt64(start >> 12)
        let count = UInt64((end &- start) >> 12)
        let isWhole =
            isMemory(inode)
            ? ps_sys_all_memory_pages(
                target.fd, base, base &+ UInt(length) &- 4_096, first, count, inode.has(InodeFlag.unwritten))
            : ps_sys_all_extent_pages(target.fd, first, count)
        guard isWhole, !hasBadPages(inode, start, end) else { return }
        inode.regionIsWhole(offset, geometry)
        // Nothing is left that was only preallocated: the next look at size and blocks finds a file without holes.
        if inode.has(InodeFlag.unwritten), inode.isWhole(geometry) { inode.clear(InodeFlag.unwritten) }
    }

    /// A file on tmpfs without holes has got its window for a call at `offset`. Space that is only preallocated can be
    /// read and written through it, but the first touch of each page fills it with zeros, which costs four times the
    /// kernel's read, from a page of zeros, and twice its write. Where the call is among such pages the file is taken
    /// for one with holes. Without the engine lock.
    func lookForUnwritten(_ target: Target, _ offset: Int64) {
        let inode = target.inode
        let base = inode.pointee.base.load(ordering: .acquiring)
        let length = inode.pointee.length.load(ordering: .acquiring)
        let first = offset >> 12 & ~15
        let beyond = min(first &+ 16, inode.pointee.size.load(ordering: .relaxed) >> 12)
        guard Settings.isByPrice, isMemory(inode), !inode.has(InodeFlag.sparse), base != 0, first >= 0,
            first < beyond, beyond << 12 < length,
            ps_sys_some_memory_unwritten(
                target.fd, base, base &+ UInt(length) &- 4_096, UInt64(first), UInt32(beyond &- first)),
            let lock = EngineLock(self)
        else { return }
        inode.set(InodeFlag.unwritten)
        inode.distrust()
        inode.updateLimits()
        lock.unlock()
    }

    private func isMemory(_ inode: UnsafeMutablePointer<Inode>) -> Bool {
        mount(inode.pointee.mount).pointee.backing == PS_BACKING_MEMORY
    }

    /// As far as is known without a system call.
    private func hasBadPages(_ inode: UnsafeMutablePointer<Inode>, _ start: Int64, _ end: Int64) -> Bool {
        var at = start
        while at < end {
            guard let place = knownPlace(inode, at), place.array.isGroupReady(of: place.page) else {
                at = (at | Allocation.groupMask) &+ 1
                continue
            }
            if place.flags.contains(.bad) { return true }
            at &+= 4_096
        }
        return false
    }

    /// The kernel has found no bytes for a read that begins at `offset`. That page is its own from now on, in every
    /// process that meets it, until it has been overwritten: a copy from it would fault each time.
    /// Without the engine lock.
    @inline(never)
    func metBadPage(_ inode: UnsafeMutablePointer<Inode>, _ fd: Int32, _ offset: Int64) {
        guard offset >= 0, inode.pointee.base.load(ordering: .relaxed) != 0 else { return }
        place(inode, offset, fd: fd)?.insert(.bad)
        guard !inode.has(InodeFlag.bad), let lock = EngineLock(self) else { return }
        inode.set(InodeFlag.bad)
        inode.distrust()
        inode.updateLimits()
        lock.unlock()
    }

    /// The kernel has written [start, end): its pages are allocated from now on, for every process.
    func noteWritten(_ inode: UnsafeMutablePointer<Inode>, _ fd: Int32, from start: Int64, to end: Int64) {
        guard inode.has(InodeFlag.sparse), inode.pointee.base.load(ordering: .relaxed) != 0 else { return }
        if inode.has(InodeFlag.bad), end &- start <= Int64(Allocation.longest) {
            var at = (start &+ 4_095) & ~4_095
            while at >= 0, at &+ 4_096 <= end {
                if let place = place(inode, at, fd: fd), place.flags.contains(.bad) { place.remove(.bad) }
                at &+= 4_096
            }
        }
        noteWritten(inode, fd, start, end)
    }

    @inline(never)
    private func noteWritten(_ inode: UnsafeMutablePointer<Inode>, _ fd: Int32, _ start: Int64, _ end: Int64) {
        let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
        guard start >= 0, end > start, end &- start <= Int64(Allocation.longest),
            inode.heat(start, geometry) >= geometry.warmest
        else { return }
        // tmpfs has whole pages; elsewhere a part of one may be in a block of its own.
        let isMemory = isMemory(inode)
        let first = (isMemory ? UInt64(bitPattern: start) : UInt64(bitPattern: start) &+ 4_095) >> 12
        let beyond = (isMemory ? UInt64(bitPattern: end) &+ 4_095 : UInt64(bitPattern: end)) >> 12
        guard first < beyond else { return }
        let last = beyond &- 1
        let mayGrow = !Settings.isByPrice || !isMemory || inode.hasLostPageArray
        for page in first...last {
            guard let place = place(inode, Int64(bitPattern: page << 12), fd: fd, mayGrow: mayGrow) else { break }
            inode.set(InodeFlag.hinted)
            place.insert(.allocated)
        }
        raiseTop(inode, Int64(bitPattern: last << 12))
    }
}

/// Sizes in bytes, of pages of 4 KiB.
enum Allocation {
    /// Longest range that is served page by page.
    static let longest = 1 << 20
    /// Longest region that is looked at as a whole: 64 MiB take a millisecond.
    static let longestRegion: Int64 = 64 << 20
    static let lookMask: Int64 = (64 << 12) &- 1
    static let groupMask: Int64 = (2 << 20) &- 1
    static let sectionMask: Int64 = (128 << 20) &- 1
}

import CShimSys
import Synchronization

/// A proved range and what is needed to move it and to count it: values only, which stay in registers.
struct FastRange {
    let start: UInt
    let probe: UInt
    let inode: UnsafeMutablePointer<Inode>
    let thread: UnsafeMutablePointer<ThreadRecord>
    let call: ServedCall
}

extension Engine {
    /// Decides as ``target(_:_:)``, `looksServable` and `prove` do together, for the calls that everything is
    /// about: straight down, nothing kept for later. The slow path decides again from the start, so that nothing of
    /// this one has to outlive a call: at random over a large file a served call waits for memory, and the shorter the
    /// way to the copy, the more of those waits run side by side. So every instruction counts here, and what looks odd
    /// (one comparison for two questions, comparisons with memory) is one less.
    ///
    /// `durably`: a write on DAX. On success the thread has entered; the caller leaves. Where it has entered already,
    /// the slow path finds another place.
    @inline(__always)
    static func fastRange(
        _ fd: Int32, _ offset: Int64, _ count: Int, rights: UInt64, writes: Bool, durably: Bool = false
    ) -> FastRange? {
        guard ps_has_entry(fd) else { return nil }
        let table = ps_table()
        let descriptor = ps_kept(
            table + Int(truncatingIfNeeded: UInt32(bitPattern: fd)) &* MemoryLayout<Descriptor>.stride
        )
        .assumingMemoryBound(to: Descriptor.self)
        let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
        // Writes on DAX have a way of their own, and there none where more is promised.
        let others = writes ? (durably ? DescriptorWord.syncs : DescriptorWord.durable) : 0
        guard word.has(DescriptorWord.ours | rights, without: DescriptorWord.suspect | others) else { return nil }
        let inode = ps_kept(table + word.inodeDistance).assumingMemoryBound(to: Inode.self)
        let limit =
            writes
            ? inode.pointee.writeLimit.load(ordering: .relaxed) : inode.pointee.readLimit.load(ordering: .relaxed)
        let geometry = Geometry(bits: inode.pointee.geometry.load(ordering: .relaxed))
        // Unsigned: a negative offset is beyond every limit, a count of nothing is longer than any rest.
        guard UInt64(bitPattern: offset) <= UInt64(bitPattern: limit),
            UInt64(bitPattern: Int64(count) &- 1) < UInt64(bitPattern: limit &- offset),
            // Writes to a region that is hot but not yet touched all over have something to do first.
            writes && !durably
                ? inode.heat(offset, geometry) == Heat.full
                : !geometry.hasThreshold || inode.heat(offset, geometry) >= geometry.threshold,
            let record = UnsafeMutablePointer<ThreadRecord>(bitPattern: ps_thread_current().pointee.record),
            !ps_is_still(UnsafeRawPointer(record) + ThreadLayout.ready, 0),
            let call = ServedCall(alone: record, frame: ps_frame())
        else { return nil }
        // In this order, as in `Target.prove`.
        let base = inode.pointee.base.load(ordering: .acquiring)
        guard ps_is_below(limit, UnsafeRawPointer(inode) + InodeLayout.length) else {
            call.leave()
            return nil
        }
        let probe = ps_plus(UInt(bitPattern: Int(limit)), UnsafeRawPointer(inode) + InodeLayout.probeBase)
        guard
            ps_is_still(UnsafeRawPointer(inode), UInt64(base)), ps_is_still(UnsafeRawPointer(descriptor), word.bits)
        else {
            call.leave()
            return nil
        }
        return FastRange(
            start: base &+ UInt(bitPattern: Int(offset)), probe: probe, inode: inode,
            thread: record, call: call)
    }
}

extension FastRange {
    /// Where the call will be counted (``ThreadRecord/ready``), to be asked before the call leaves. In a child that a
    /// signal handler has forked the record is empty from then on: either the call does not leave well, or this is
    /// what the parent had, and children inherit the memory that it names.
    @inline(__always)  // one load on the hot path
    var shard: UInt { thread.pointee.ready.load(ordering: .relaxed) }

    /// One more call of `family` and its bytes, which are counted at `offset` (``CounterLayout``) of ``shard``.
    @inline(__always)
    func served(_ family: ps_family, in shard: UInt, bytes: Int, at offset: Int) {
        let counters = shard &+ UInt(inode.pointee.counters.load(ordering: .relaxed))
        let call = UInt(family.rawValue & 15) &* UInt(CounterLayout.outcomes &* 8)
        guard shard & 1 == 0 else {
            ps_raise_together(counters &- 1 &+ call, 1)
            ps_raise_together(counters &- 1 &+ UInt(offset), UInt64(bitPattern: Int64(bytes)))
            return
        }
        ps_raise(counters &+ call, 1)
        ps_raise(counters &+ UInt(offset), UInt64(bitPattern: Int64(bytes)))
    }
}

/// pread and pwrite, straight down: what ``fastRange(_:_:_:rights:writes:durably:)`` has proved is moved and counted.
/// True: all `count` bytes are there. False: nothing is decided, and the general way begins anew.
extension Engine {
    @inline(__always)
    static func fastPread(_ fd: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int, _ offset: Int64) -> Bool {
        guard let range = fastRange(fd, offset, count, rights: DescriptorWord.reads, writes: false) else {
            return false
        }
        let source = UnsafeRawPointer(bitPattern: range.start)
        let isCopied = ps_copy_probed_in_place(buffer, source, count, range.probe) == 0
        let shard = range.shard
        guard range.call.leave(), isCopied else { return false }
        range.served(PS_FAMILY_PREAD, in: shard, bytes: count, at: CounterLayout.servedRead)
        return true
    }

    /// With one thread there is nobody to keep out of the stripes. A write on DAX: ``durableWrite(_:_:_:_:)``.
    @inline(__always)
    static func fastPwrite(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ count: Int, _ offset: Int64) -> Bool {
        let length = WriteLength(count)
        guard length.isOneStore || (length.isLong && count <= mostInOneCall), ps_single_threaded(),
            isUserRange(UInt(bitPattern: buffer), count),
            let range = fastRange(fd, offset, count, rights: DescriptorWord.writes, writes: true)
        else { return false }
        let isTickTaken = range.inode.pointee.lastTick.load(ordering: .relaxed) == ps_sys_coarse_now()
        var copied = CopyResult.faulted
        if isTickTaken {
            let window = UnsafeMutableRawPointer(bitPattern: range.start)
            if length.isOneStore {
                copied = CopyResult(ps_store_whole(window, buffer, count) | ps_probe(range.probe))
            } else {
                let isCached = WriteLength.staysCached(range.inode)
                copied = CopyResult(ps_probe_rest(buffer, count))
                    .then(CopyResult(ps_copy_either(window, buffer, count, isCached) | ps_probe(range.probe)))
            }
        }
        let shard = range.shard
        let stayed = range.call.leave()
        guard !copied.hasFaulted, stayed else { return false }
        range.served(PS_FAMILY_PWRITE, in: shard, bytes: count, at: CounterLayout.servedWritten)
        return true
    }
}

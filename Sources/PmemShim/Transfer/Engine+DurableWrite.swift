import CShimSys
import Synchronization

extension Engine {
    /// pwrite on DAX, straight down: true where [offset, offset + count) is served and durable. With one thread, as the
    /// short way of other backings; else the general way is taken.
    ///
    /// Of what ``WriteLength`` leaves to the kernel nothing.
    func durableWrite(_ fd: Int32, _ buffer: UnsafeRawPointer?, _ count: Int, _ offset: Int64) -> Bool {
        guard ps_single_threaded(), WriteLength(count).isServed, count <= mostInOneCall,
            isUserRange(UInt(bitPattern: buffer), count),
            let range = Engine.fastRange(
                fd, offset, count, rights: DescriptorWord.writes, writes: true, durably: true)
        else { return false }
        var copied = CopyResult.faulted
        if range.inode.pointee.lastTick.load(ordering: .relaxed) == ps_sys_coarse_now(),
            range.inode.isReady(
                offset, count, Geometry(bits: range.inode.pointee.geometry.load(ordering: .relaxed)))
        {
            let window = UnsafeMutableRawPointer(bitPattern: range.start)
            if WriteLength(count).isCopied {
                copied = CopyResult(ps_probe_rest(buffer, count))
                    .then(CopyResult(ps_copy_durably(window, buffer, count) | ps_probe(range.probe)))
            } else {
                copied = CopyResult(ps_store_durably(window, buffer, count) | ps_probe(range.probe))
            }
        }
        let shard = range.shard
        let stayed = range.call.leave()
        guard !copied.hasFaulted, stayed else { return false }
        range.served(PS_FAMILY_PWRITE, in: shard, bytes: count, at: CounterLayout.servedWritten)
        return true
    }
}

import CShimSys
import Synchronization

extension Engine {
    /// Whether F_SETFL with `flags` changes what hangs on a description's status flags: then every number is forgotten,
    /// for duplicates share them. Of a number that is ours they are known. Had another process changed them since,
    /// unseen, this call either takes that back or makes it what it finds here.
    func changesFlags(_ fd: Int32, _ flags: Int32) -> Bool {
        let matters = OpenFlag.append | OpenFlag.direct | OpenFlag.noAccessTime
        let wanted = flags & matters
        if let descriptor = descriptor(fd) {
            let word = DescriptorWord(descriptor.pointee.word.load(ordering: .acquiring))
            // No duplicate of what is foreign is ours.
            if word.isForeign { return false }
            if word.hasUnsuspected(DescriptorWord.ours) { return wanted != statusFlags(word) }
        }
        let before = ps_sys_status_flags(fd)
        return before >= 0 && Int32(truncatingIfNeeded: before) & matters != wanted
    }

    private func statusFlags(_ word: DescriptorWord) -> Int32 {
        (word.has(DescriptorWord.appends) ? OpenFlag.append : 0)
            | (word.has(DescriptorWord.direct) ? OpenFlag.direct : 0)
            | (word.has(DescriptorWord.untimed) ? OpenFlag.noAccessTime : 0)
    }
}

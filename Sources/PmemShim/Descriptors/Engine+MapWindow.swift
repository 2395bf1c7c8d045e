extension Engine {
    /// Maps a window for `fd`'s inode, or a longer or writable one in place of what it has. True: try again.
    @inline(never)
    func mapWindow(_ fd: Int32, wantsWrite: Bool) -> Bool {
        let outcome = map(fd, wantsWrite: wantsWrite)
        if outcome.hasStrayed { evict(fd) }
        return outcome.isMapped
    }
}

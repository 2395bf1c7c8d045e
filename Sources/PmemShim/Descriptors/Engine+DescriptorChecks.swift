#if PMEMSHIM_CHECKS
    import CShimSys
    import Synchronization

    extension Engine {
        /// The first thing that is found not to hold of the tables, and must.
        func violation(_ held: LockHeld, limitsAreExact: Bool) -> Violation? {
            if let found = inodeViolation(held, limitsAreExact: limitsAreExact) { return found }
            if let found = windowViolation(held) { return found }
            if let found = sectionViolation(held) { return found }
            return descriptorViolation(held)
        }

        /// What numbers say of slots: each number of ours names a slot in use, which counts it; and a window was mapped
        /// from a number that still means its file, and allows it.
        ///
        /// Numbers become ours only under the lock. They are forgotten without it, and the slot's reference is given
        /// back under it later: so a slot has never fewer references than numbers, and all slots together have no more
        /// than there are such evictions (``CheckState/evictions``, raised before the number is forgotten, and read
        /// here after all numbers have been).
        ///
        /// After ``inodeViolation(_:limitsAreExact:)``, whose marks it uses.
        private func descriptorViolation(_ held: LockHeld) -> Violation? {
            let used = min(files.pointee.usedInodes.load(ordering: .relaxed), UInt32(Arena.inodes))
            let bound = min(files.pointee.descriptorBound.load(ordering: .acquiring), Int32(Arena.descriptors))
            var numbers: Int64 = 0
            for fd in 0..<bound {
                guard let word = meaning(fd), word.has(DescriptorWord.ours) else { continue }
                guard word.inode < used, marks(held)[Int(word.inode)] & Engine.inUse != 0 else {
                    return Violation("a number names a slot that is not in use", Int(fd), Int64(word.inode))
                }
                marks(held)[Int(word.inode)] &+= 1
                numbers &+= 1
            }
            var references: Int64 = 0
            var strayed: Int?
            for index in 0..<used where marks(held)[Int(index)] & Engine.inUse != 0 {
                let inode = inode(index)
                let named = Int64(marks(held)[Int(index)] & ~Engine.inUse)
                guard named <= Int64(inode.pointee.references) else {
                    return Violation("a slot has fewer references than numbers", Int(index), named)
                }
                references &+= Int64(inode.pointee.references)
                if inode.pointee.base.load(ordering: .relaxed) != 0, !isSourceKnown(held, index) {
                    strayed = Int(index)
                }
            }
            let evictions = Int64(checks.pointee.evictions.load(ordering: .sequentiallyConsistent))
            guard references &- numbers <= evictions else {
                return Violation("slots have more references than numbers", Int(numbers), references)
            }
            if let strayed, evictions == 0 {
                return Violation("a window's source does not mean its file", strayed)
            }
            return nil
        }

        private func meaning(_ fd: Int32) -> DescriptorWord? {
            descriptor(fd).map { DescriptorWord($0.pointee.word.load(ordering: .acquiring)) }
        }

        private func isSourceKnown(_ held: LockHeld, _ index: UInt32) -> Bool {
            let inode = inode(index)
            let isWritable = inode.has(InodeFlag.writable)
            guard let word = meaning(inode.pointee.source) else { return false }
            return word.has(DescriptorWord.ours | DescriptorWord.maps) && word.inode == index
                && (!isWritable || word.has(DescriptorWord.mapsWritable))
        }
    }
#endif

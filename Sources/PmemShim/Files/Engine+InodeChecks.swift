#if PMEMSHIM_CHECKS
    import CShimSys
    import Synchronization

    /// What holds of the slots of inodes whenever the engine lock is given back.
    extension Engine {
        /// In ``marks(_:)``: the slot is in use. Below that bit there is room for a count.
        static let inUse: UInt32 = 1 << 31

        /// Each slot that was ever handed out is in the chain of its file's hash, with references, or in the free list,
        /// without any and without a window; never in both, nor in one of them twice. All of that changes only under
        /// the lock. Leaves in ``marks(_:)`` which slots are in use.
        func inodeViolation(_ held: LockHeld, limitsAreExact: Bool) -> Violation? {
            let used = Int(files.pointee.usedInodes.load(ordering: .relaxed))
            guard used <= Arena.inodes else { return Violation("more inodes than slots", used) }
            for index in 0..<used { marks(held)[index] = 0 }
            let (inUse, chains) = chainViolation(held, used)
            if let chains { return chains }
            let (free, list) = freeListViolation(held, used)
            if let list { return list }
            guard inUse &+ free == used else {
                return Violation("a slot is neither in use nor free", used, Int64(inUse &+ free))
            }
            for index in 0..<used where marks(held)[index] == Engine.inUse {
                if let found = slotViolation(held, UInt32(index), limitsAreExact: limitsAreExact) { return found }
            }
            return mountViolation(held, used)
        }

        private func chainViolation(_ held: LockHeld, _ used: Int) -> (count: Int, Violation?) {
            var count = 0
            for head in 0..<Arena.inodeHeads where heads(held)[head].load(ordering: .relaxed) != 0 {
                var link = heads(held)[head].load(ordering: .relaxed)
                while link != 0 {
                    let index = Int(link) &- 1
                    guard index < used else {
                        return (0, Violation("a chain leads to a slot that was not handed out", head, Int64(index)))
                    }
                    let inode = inode(UInt32(index))
                    guard marks(held)[index] == 0 else { return (0, Violation("a slot is in a chain twice", index)) }
                    marks(held)[index] = Engine.inUse
                    guard hash(inode.pointee.device, inode.pointee.number) == head else {
                        return (0, Violation("a slot is in another chain than its file's", index, Int64(head)))
                    }
                    guard inode.pointee.references > 0 else {
                        return (0, Violation("a slot in use has no reference", index, Int64(inode.pointee.references)))
                    }
                    count &+= 1
                    link = inode.pointee.next
                }
            }
            return (count, nil)
        }

        private func freeListViolation(_ held: LockHeld, _ used: Int) -> (count: Int, Violation?) {
            var count = 0
            var link = files.pointee.freeInode
            while link != 0 {
                let index = Int(link) &- 1
                guard index < used, marks(held)[index] == 0 else {
                    return (0, Violation("a free slot is in use, or free twice", index))
                }
                marks(held)[index] = 1
                let inode = inode(UInt32(index))
                guard inode.pointee.base.load(ordering: .relaxed) == 0 else {
                    return (0, Violation("a free slot has a window", index))
                }
                count &+= 1
                link = inode.pointee.next
            }
            return (count, nil)
        }

        /// A mount's entry is used again when no slot in use is of it: so it must know how many are.
        private func mountViolation(_ held: LockHeld, _ used: Int) -> Violation? {
            let bound = mounts(held).pointee.mounts
            guard bound <= UInt32(Arena.mounts) else { return Violation("more mounts than entries", Int(bound)) }
            for number in 0..<bound {
                var files: Int64 = 0
                for index in 0..<used where marks(held)[index] == Engine.inUse {
                    if inode(UInt32(index)).pointee.mount == number { files &+= 1 }
                }
                guard Int64(mount(number).pointee.files) == files else {
                    return Violation("a mount counts other files than there are", Int(number), files)
                }
            }
            return nil
        }
    }
#endif

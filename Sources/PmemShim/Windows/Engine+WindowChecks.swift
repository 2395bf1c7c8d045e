#if PMEMSHIM_CHECKS
    import CShimSys
    import Synchronization

    extension Engine {
        /// Windows are as many, and as long together, as is counted; and none lies where another thread may still be
        /// copying to or from a window before it. All of that changes only under the lock.
        func windowViolation(_ held: LockHeld) -> Violation? {
            let state = windows
            guard state.pointee.retired <= UInt32(Arena.retired) else {
                return Violation("more retired ranges than places for them", Int(state.pointee.retired))
            }
            guard state.pointee.retired > 0 || state.pointee.lingering.load(ordering: .relaxed) == 0 else {
                return Violation("a range lingers, and none is retired", 0)
            }
            var count: UInt32 = 0
            var bytes: Int64 = 0
            for index in 0..<min(files.pointee.usedInodes.load(ordering: .relaxed), UInt32(Arena.inodes)) {
                let inode = inode(index)
                let base = inode.pointee.base.load(ordering: .relaxed)
                guard base != 0 else { continue }
                let span =
                    UInt(bitPattern: Int(inode.pointee.length.load(ordering: .relaxed)))
                    &+ (inode.pointee.probeBase.load(ordering: .relaxed) &- base)
                count &+= 1
                bytes &+= Int64(bitPattern: UInt64(span))
                for number in 0..<state.pointee.retired {
                    let range = retired(held, number).pointee
                    guard range.base &- base >= span, base &- range.base >= UInt(bitPattern: Int(range.length)) else {
                        return Violation("a window lies in a range that is retired", Int(index), Int64(number))
                    }
                }
            }
            let counted = state.pointee.windows.load(ordering: .relaxed)
            guard counted == count else {
                return Violation("other windows are counted than there are", Int(counted), Int64(count))
            }
            guard state.pointee.mapped == bytes else {
                return Violation("other bytes are counted than are mapped", Int(state.pointee.mapped), bytes)
            }
            return nil
        }
    }
#endif

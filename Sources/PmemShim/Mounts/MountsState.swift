/// What this process knows of mounts. Guarded by the engine lock.
struct MountsState {
    var mounts: UInt32
    var trees: UInt32
    var treesRead: Bool
    var elsewhere: MountsElsewhere
    /// Mounts that lie on no attached device.
    var unattached: MountsElsewhere
}

extension Engine {
    func mounts(_ held: LockHeld) -> UnsafeMutablePointer<MountsState> {
        (address + Arena.mountsStateOffset).assumingMemoryBound(to: MountsState.self)
    }

    @inline(__always)
    func mount(_ index: UInt32) -> UnsafeMutablePointer<Mount> {
        (address + Arena.mountsOffset + Int(index & 15) &* Arena.mountSize).assumingMemoryBound(to: Mount.self)
    }

    func tree(_ held: LockHeld, _ index: UInt32) -> UnsafeMutablePointer<ServedTree> {
        (address + Arena.treesOffset + Int(index & 15) &* Arena.treeSize).assumingMemoryBound(to: ServedTree.self)
    }
}

import CShimSys

extension ps_family {
    @inline(__always)
    static func readv(_ positioned: Bool) -> ps_family { positioned ? PS_FAMILY_PREADV : PS_FAMILY_READV }
    @inline(__always)
    static func writev(_ positioned: Bool) -> ps_family { positioned ? PS_FAMILY_PWRITEV : PS_FAMILY_WRITEV }
}

/// readv, writev and their positioned kin. `offset`: nothing where the call is at the file offset.
extension Engine {
    @inline(__always)  // one caller
    func readv(
        _ fd: Int32, _ family: ps_family, _ vector: UnsafePointer<iovec>?, _ count: Int32, at offset: Int64?,
        _ flags: Int32
    ) -> Int64 {
        guard let target = target(fd, family) else { return passOnResult }
        guard flags & ~CallFlag.highPriority == 0 else { return passOn(target, PS_OUTCOME_FLAGS, -1, 0) }
        guard prepareToCopy(target, writes: false) else { return passOn(target, PS_OUTCOME_COLD, -1, 0) }
        guard let room = Vector.takeRoom(target.thread, frame: ps_frame()) else {
            return passOn(target, PS_OUTCOME_COLD, -1, 0)
        }
        let buffer = Vector(vector, count, room: room)
        let result: Int64
        if let offset {
            result = vectoredRead(target, buffer, offset)
        } else {
            result = vectoredRead(target, buffer)
        }
        ps_vector_room_give(room)
        return result
    }

    @inline(__always)  // one caller
    func writev(
        _ fd: Int32, _ family: ps_family, _ vector: UnsafePointer<iovec>?, _ count: Int32, at offset: Int64?,
        _ flags: Int32
    ) -> Int64 {
        guard let target = target(fd, family) else { return passOnResult }
        let isPlain = flags & ~CallFlag.highPriority == 0
        guard isPlain || (offset != nil && mayPromise(target, flags)) else {
            return passOn(target, PS_OUTCOME_FLAGS, -1, 0)
        }
        guard prepareToCopy(target, writes: true) else { return leftToKernel(target, 0) }
        guard let room = Vector.takeRoom(target.thread, frame: ps_frame()) else {
            return passOn(target, PS_OUTCOME_COLD, -1, 0)
        }
        let buffer = Vector(vector, count, room: room)
        let result: Int64
        if let offset {
            result =
                isPlain
                ? vectoredWrite(target, buffer, offset) : promisedWrite(target, buffer, offset, flags)
        } else {
            result = vectoredWrite(target, buffer)
        }
        ps_vector_room_give(room)
        return result
    }

    // Apart, as the ways of a call that is not served have frames of their own: inlined, each call would take as much
    // of the caller's stack as the deepest of them (Tests/Programs/stack-use.c).

    @inline(never)
    private func vectoredRead(_ target: Target, _ vector: Vector, _ offset: Int64) -> Int64 {
        positionedRead(target, vector, offset)
    }

    @inline(never)
    private func vectoredRead(_ target: Target, _ vector: Vector) -> Int64 { implicitRead(target, vector) }

    @inline(never)
    private func vectoredWrite(_ target: Target, _ vector: Vector, _ offset: Int64) -> Int64 {
        positionedWrite(target, vector, offset)
    }

    @inline(never)
    private func vectoredWrite(_ target: Target, _ vector: Vector) -> Int64 { implicitWrite(target, vector) }
}

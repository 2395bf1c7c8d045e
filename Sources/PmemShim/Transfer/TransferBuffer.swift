import CShimSys

/// The application's side of a data call: one buffer, or several. The engine is generic over it; each call site is
/// specialised, so the plain forms pay nothing for the vectored ones.
protocol TransferBuffer {
    /// Bytes in all; 0 or less: odd arguments, which the kernel judges.
    var count: Int { get }
    /// Whether an overwrite with it may be served: long enough, or stored by one instruction.
    var isServedLength: Bool { get }
    /// Window to application.
    func copyOut(of window: UInt) -> CopyResult
    /// Application to window. Nothing was stored if it has faulted and that was the buffer's fault.
    func copyIn(to window: UInt) -> CopyResult
    /// Application to window, durable when it has returned.
    func copyInDurably(to window: UInt) -> CopyResult
    /// Whether the caller's arguments lie in memory that a copy may have changed: then only what was read of them
    /// before may be handed to the kernel afterwards.
    static var isReadOnce: Bool { get }
    /// The whole call by the kernel, at `offset`: bytes moved, or -errno.
    func kernelRead(_ fd: Int32, at offset: Int64) -> Int
    func kernelWrite(_ fd: Int32, at offset: Int64) -> Int
}

/// Whether [address, address + count) lies where user memory can lie. The kernel looks before it moves a byte, at all
/// parts of a vector, and refuses the whole call: a copy that went ahead up to the border would change the file in a
/// call that fails. With five-level page tables user memory may lie higher: such calls pass on.
@inline(__always)
func isUserRange(_ address: UInt, _ count: Int) -> Bool {
    let end: UInt = 0x7fff_ffff_f000
    let length = UInt(bitPattern: count)
    return length <= end && address <= end &- length
}

/// Copies into a window; what it has written is visible to other CPUs before anything written later.
///
/// A part of a vector may be of any length; what is short as a whole must be stored whole.
@inline(__always)
private func store(_ target: UInt, _ source: UnsafeRawPointer?, _ count: Int) -> CopyResult {
    let window = UnsafeMutableRawPointer(bitPattern: target)
    return CopyResult(
        WriteLength(count).isLong ? ps_copy_through(window, source, count) : ps_copy(window, source, count))
}

struct PlainRead: TransferBuffer {
    let buffer: UnsafeMutableRawPointer?
    let count: Int
    var isServedLength: Bool { false }
    static var isReadOnce: Bool { false }

    @inline(__always)
    func copyOut(of window: UInt) -> CopyResult {
        CopyResult(ps_copy(buffer, UnsafeRawPointer(bitPattern: window), count))
    }
    func copyIn(to window: UInt) -> CopyResult { .faulted }
    func copyInDurably(to window: UInt) -> CopyResult { .faulted }
    func kernelRead(_ fd: Int32, at offset: Int64) -> Int { ps_sys_pread(fd, buffer, count, offset) }
    func kernelWrite(_ fd: Int32, at offset: Int64) -> Int { Failure.invalid }
}

struct PlainWrite: TransferBuffer {
    let buffer: UnsafeRawPointer?
    let count: Int
    static var isReadOnce: Bool { false }
    @inline(__always)
    var isServedLength: Bool { WriteLength(count).isServed }

    func copyOut(of window: UInt) -> CopyResult { .faulted }
    @inline(__always)
    func copyIn(to window: UInt) -> CopyResult {
        guard isUserRange(UInt(bitPattern: buffer), count) else { return .faulted }
        guard WriteLength(count).isCopied else {
            return CopyResult(ps_store_whole(UnsafeMutableRawPointer(bitPattern: window), buffer, count))
        }
        return CopyResult(ps_probe_rest(buffer, count)).then(store(window, buffer, count))
    }
    func copyInDurably(to window: UInt) -> CopyResult {
        guard isUserRange(UInt(bitPattern: buffer), count) else { return .faulted }
        let target = UnsafeMutableRawPointer(bitPattern: window)
        guard WriteLength(count).isCopied else { return CopyResult(ps_store_durably(target, buffer, count)) }
        return CopyResult(ps_probe_rest(buffer, count)).then(CopyResult(ps_copy_durably(target, buffer, count)))
    }
    func kernelRead(_ fd: Int32, at offset: Int64) -> Int { Failure.invalid }
    func kernelWrite(_ fd: Int32, at offset: Int64) -> Int { ps_sys_pwrite(fd, buffer, count, offset) }
}

/// An iovec array, checked: `count` is 0 where it is unreadable, longer than ``most``, adds up to more than a call may
/// move, or names what cannot be user memory. It is read once, under guard, and not trusted to stay the same: the
/// copies work from our own.
struct Vector: TransferBuffer {
    /// Longest vector served. PostgreSQL and RocksDB use up to 32 at a time.
    static let most = 32
    /// Room for ``most`` pairs of address and length.
    typealias Room = InlineArray<64, UInt>

    /// 512 bytes, which the application's stack is not to give. To be given back by `ps_vector_room_give`.
    @inline(__always)  // the frame is the caller's
    static func takeRoom(_ thread: CurrentThread, frame: UInt) -> UnsafeMutablePointer<Room>? {
        ps_vector_room_take(UInt(bitPattern: thread.record), frame)?.assumingMemoryBound(to: Room.self)
    }

    private let entries: UnsafeMutablePointer<UInt>
    private let entryCount: Int
    let count: Int
    static var isReadOnce: Bool { true }
    var isServedLength: Bool { WriteLength(count).isCopied }

    /// Copies `vector` into `room`, which must stay in place as long as the vector is used.
    init(_ vector: UnsafePointer<iovec>?, _ vectorCount: Int32, room: UnsafeMutablePointer<Room>) {
        entries = UnsafeMutableRawPointer(room).assumingMemoryBound(to: UInt.self)
        var total = 0
        var usable = 0
        if vectorCount > 0, vectorCount <= Int32(Vector.most),
            ps_copy(entries, vector, Int(vectorCount) &* MemoryLayout<iovec>.size) == 0
        {
            usable = Int(vectorCount)
            // MAX_RW_COUNT: above it the kernel moves less than asked for. 32 lengths below it do not overflow.
            for index in 0..<usable {
                let length = Int(bitPattern: entries[index &* 2 &+ 1])
                guard UInt(bitPattern: length) <= UInt(bitPattern: mostInOneCall),
                    isUserRange(entries[index &* 2], length)
                else {
                    usable = 0
                    break
                }
                total &+= length
            }
            if usable == 0 || total > mostInOneCall {
                total = 0
                usable = 0
            }
        }
        entryCount = usable
        count = total
    }

    func copyOut(of window: UInt) -> CopyResult {
        var from = window
        for index in 0..<entryCount {
            let length = Int(bitPattern: entries[index &* 2 &+ 1])
            let target = UnsafeMutableRawPointer(bitPattern: entries[index &* 2])
            if ps_copy(target, UnsafeRawPointer(bitPattern: from), length) != 0 { return .faulted }
            from &+= UInt(bitPattern: length)
        }
        return .done
    }

    /// Whether a byte of every page of every part is there.
    private func isThere() -> Bool {
        for index in 0..<entryCount {
            let length = Int(bitPattern: entries[index &* 2 &+ 1])
            guard length > 0 else { continue }
            let part = entries[index &* 2]
            if ps_probe(part) != 0 || ps_probe_rest(UnsafeRawPointer(bitPattern: part), length) != 0 { return false }
        }
        return true
    }

    func copyInDurably(to window: UInt) -> CopyResult {
        guard isThere() else { return .faulted }
        var to = window
        for index in 0..<entryCount {
            let length = Int(bitPattern: entries[index &* 2 &+ 1])
            guard length > 0 else { continue }
            let part = UnsafeRawPointer(bitPattern: entries[index &* 2])
            if ps_copy_durably(UnsafeMutableRawPointer(bitPattern: to), part, length) != 0 {
                return .faulted
            }
            to &+= UInt(bitPattern: length)
        }
        return .done
    }

    @inline(__always)  // 80 bytes of stack less
    func copyIn(to window: UInt) -> CopyResult {
        guard isThere() else { return .faulted }
        var to = window
        for index in 0..<entryCount {
            let length = Int(bitPattern: entries[index &* 2 &+ 1])
            if store(to, UnsafeRawPointer(bitPattern: entries[index &* 2]), length).hasFaulted { return .faulted }
            to &+= UInt(bitPattern: length)
        }
        return .done
    }

    /// As it was read: the array may lie in one of its own buffers, or in a mapping of the file that was written to.
    private var asRead: UnsafePointer<iovec> { UnsafeRawPointer(entries).assumingMemoryBound(to: iovec.self) }
    func kernelRead(_ fd: Int32, at offset: Int64) -> Int { ps_sys_preadv(fd, asRead, Int32(entryCount), offset) }
    func kernelWrite(_ fd: Int32, at offset: Int64) -> Int { kernelWrite(fd, at: offset, flags: 0) }
    func kernelWrite(_ fd: Int32, at offset: Int64, flags: Int32) -> Int {
        ps_sys_pwritev(fd, asRead, Int32(entryCount), offset, flags)
    }
}

import CShimSys
import Glibc
import PmemShim

/// What the C face does around the engine's entry points, for the threads of this process: asks the engine, lets the
/// kernel do what it passes on, and tells it what became of that. Results are those of the raw call: -errno.
enum Face {
    static func pread(_ fd: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int, at offset: Int) -> Int {
        let served = enginePread(fd: fd, buffer: buffer, count: count, offset: Int64(offset))
        return result(served, fd, PS_FAMILY_PREAD, Glibc.pread(fd, buffer, count, off_t(offset)))
    }

    static func read(_ fd: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int) -> Int {
        let served = engineRead(fd: fd, buffer: buffer, count: count)
        return result(served, fd, PS_FAMILY_READ, Glibc.read(fd, buffer, count))
    }

    static func pwrite(_ fd: Int32, _ buffer: UnsafeRawPointer, _ count: Int, at offset: Int) -> Int {
        let served = enginePwrite(fd: fd, buffer: buffer, count: count, offset: Int64(offset))
        return result(served, fd, PS_FAMILY_PWRITE, Glibc.pwrite(fd, buffer, count, off_t(offset)))
    }

    static func write(_ fd: Int32, _ buffer: UnsafeRawPointer, _ count: Int) -> Int {
        let served = engineWrite(fd: fd, buffer: buffer, count: count)
        if served == passOnSettled {
            let result = Glibc.write(fd, buffer, count)
            let error = errno
            let moved = result < 0 ? -Int(error) : result
            if moved != count { engineFellShort(fd: fd, count: count, result: Int64(moved)) }
            return moved
        }
        return result(served, fd, PS_FAMILY_WRITE, Glibc.write(fd, buffer, count))
    }

    static func preadv(_ fd: Int32, _ vector: [iovec], at offset: Int) -> Int {
        let count = Int32(vector.count)
        let served = engineReadv(
            fd: fd, vector: vector, count: count, offset: Int64(offset), flags: 0, positioned: true)
        return result(served, fd, PS_FAMILY_PREADV, Glibc.preadv(fd, vector, count, off_t(offset)))
    }

    static func pwritev(_ fd: Int32, _ vector: [iovec], at offset: Int) -> Int {
        let count = Int32(vector.count)
        let served = engineWritev(
            fd: fd, vector: vector, count: count, offset: Int64(offset), flags: 0, positioned: true)
        return result(served, fd, PS_FAMILY_PWRITEV, Glibc.pwritev(fd, vector, count, off_t(offset)))
    }

    static func fsync(_ fd: Int32) -> Int {
        let served = engineSync(fd: fd, family: PS_FAMILY_FSYNC)
        return result(served, fd, PS_FAMILY_FSYNC, Int(Glibc.fsync(fd)))
    }

    static func truncate(_ fd: Int32, _ size: Int) {
        Glibc.ftruncate(fd, off_t(size))
        engineResized(fd: fd)
    }

    static func open(_ path: String, _ flags: Int32) -> Int32 {
        let fd = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        if fd >= 0 { engineEvict(fd: fd) }
        return fd
    }

    static func dup(_ fd: Int32) -> Int32 {
        let copy = Glibc.dup(fd)
        if copy >= 0 { engineEvict(fd: copy) }
        return copy
    }

    static func close(_ fd: Int32) {
        engineEvict(fd: fd)
        Glibc.close(fd)
        engineEvict(fd: fd)
    }

    private static let passOn = Int64.min
    /// PS_PASS_ON_SETTLED: only a write that falls short is told.
    private static let passOnSettled = Int64.min + 1

    /// Of what the engine served; else of what the kernel is asked for only now.
    private static func result(
        _ served: Int64, _ fd: Int32, _ family: ps_family, _ kernel: @autoclosure () -> Int
    ) -> Int {
        served != passOn ? Int(served) : passedOn(fd, family, kernel())
    }

    private static func passedOn(_ fd: Int32, _ family: ps_family, _ result: Int) -> Int {
        let error = errno
        let thread = ps_thread_current()
        let isTold =
            thread.pointee.pending == PS_PENDING_NOTHING.rawValue
            || (thread.pointee.pending == PS_PENDING_SHORT.rawValue && thread.pointee.pending_count == Int64(result))
        if !isTold { enginePassedOn(fd: fd, family: family, result: Int64(result)) }
        return result < 0 ? -Int(error) : result
    }
}

import CShimSys

/// What tells one life of a pid from another, and its name.
struct ProcessIdentity {
    /// Field 22 of /proc/PID/stat: clock ticks after boot.
    var startTime: UInt64 = 0
    var command: (UInt64, UInt64) = (0, 0)

    /// Reads /proc/PID/stat into `scratch`. The name stands in parentheses and may hold anything, so fields are counted
    /// from the last closing one.
    mutating func read(_ pid: Int32, _ scratch: UnsafeMutablePointer<UInt8>, capacity: Int) {
        var path = PathText(scratch, capacity: 64)
        path.append("/proc/")
        path.append(UInt64(max(pid, 0)))
        path.append("/stat")
        let fd = ps_sys_open(path.text, OpenFlag.closeOnExec, 0)
        guard fd >= 0 else { return }
        let count = ps_sys_read(Int32(truncatingIfNeeded: fd), scratch, capacity)
        _ = ps_sys_close(Int32(truncatingIfNeeded: fd))
        guard count > 0 else { return }
        parse(UnsafeBufferPointer(start: UnsafePointer(scratch), count: count))
    }

    mutating func parse(_ text: UnsafeBufferPointer<UInt8>) {
        var open = 0
        while open < text.count, text[open] != 40 { open &+= 1 }
        var close = text.count &- 1
        while close > open, text[close] != 41 { close &-= 1 }
        guard close > open else { return }
        withUnsafeMutableBytes(of: &command) { target in
            var at = 0
            while at < 15, open &+ 1 &+ at < close {
                target[at] = text[open &+ 1 &+ at]
                at &+= 1
            }
        }
        // After ") " comes field 3.
        var field = 3
        var at = close &+ 2
        while at < text.count, field < 22 {
            if text[at] == 32 { field &+= 1 }
            at &+= 1
        }
        var end = at
        while end < text.count, text[end] != 32 { end &+= 1 }
        guard let start = text.baseAddress, end > at else { return }
        startTime = decimal(UnsafeBufferPointer(start: start + at, count: end &- at)) ?? 0
    }
}

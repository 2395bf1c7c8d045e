import CShimSys

/// The memory cgroup of this process, as /proc/self/cgroup names it (cgroups(7)), and its limit. Both versions: there
/// is a line "0::/path" for version 2, and one with the controller "memory" for version 1.
package struct MemoryCgroup {
    /// Of its directory, below where cgroups of that version are mounted. Begins with a slash.
    package let path: UnsafeBufferPointer<UInt8>
    package let isUnified: Bool

    /// The one that limits memory: that of version 1, where a line names it.
    package init?(_ text: UnsafeBufferPointer<UInt8>) {
        var found: MemoryCgroup?
        var at = 0
        while at < text.count {
            var end = at
            while end < text.count, text[end] != newline { end &+= 1 }
            if let cgroup = MemoryCgroup(line: UnsafeBufferPointer(rebasing: text[at..<end])),
                found == nil || !cgroup.isUnified
            {
                found = cgroup
            }
            at = end &+ 1
        }
        guard let found else { return nil }
        self = found
    }

    private init?(line: UnsafeBufferPointer<UInt8>) {
        guard let first = line.firstIndex(of: colon),
            let second = line[(first &+ 1)...].firstIndex(of: colon), second &+ 1 < line.count,
            line[second &+ 1] == slash
        else { return nil }
        let controllers = UnsafeBufferPointer(rebasing: line[(first &+ 1)..<second])
        guard controllers.isEmpty || MemoryCgroup.names(controllers, "memory") else { return nil }
        path = UnsafeBufferPointer(rebasing: line[(second &+ 1)...])
        isUnified = controllers.isEmpty
    }

    /// Whether `word` is one of the names in `list`, which has commas between them.
    private static func names(_ list: UnsafeBufferPointer<UInt8>, _ word: StaticString) -> Bool {
        var start = 0
        while start <= list.count {
            var end = start
            while end < list.count, list[end] != comma { end &+= 1 }
            if end &- start == word.utf8CodeUnitCount {
                var index = 0
                while index < end &- start, list[start &+ index] == word.utf8Start[index] { index &+= 1 }
                if index == end &- start { return true }
            }
            start = end &+ 1
        }
        return false
    }

    /// Puts the name of the file that says the limit of the cgroup `levels` above this one into `room`, with a NUL.
    /// False: there is no such level, or no room.
    func fileOfLimit(_ levels: Int, _ room: UnsafeMutableBufferPointer<UInt8>) -> Bool {
        var count = path.count
        while count > 0, path[count &- 1] == slash { count &-= 1 }
        for _ in 0..<levels {
            guard count > 0 else { return false }
            while count > 0, path[count &- 1] != slash { count &-= 1 }
            count = max(count &- 1, 0)
        }
        let mount: StaticString = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
        let file: StaticString = isUnified ? "/memory.max" : "/memory.limit_in_bytes"
        guard mount.utf8CodeUnitCount &+ count &+ file.utf8CodeUnitCount < room.count else { return false }
        var at = 0
        for index in 0..<mount.utf8CodeUnitCount {
            room[at] = mount.utf8Start[index]
            at &+= 1
        }
        for index in 0..<count {
            room[at] = path[index]
            at &+= 1
        }
        for index in 0..<file.utf8CodeUnitCount {
            room[at] = file.utf8Start[index]
            at &+= 1
        }
        room[at] = 0
        return true
    }

    /// What such a file says, bytes. Nothing: "max", or no number.
    static func limit(_ text: UnsafeBufferPointer<UInt8>) -> UInt64? {
        var count = text.count
        while count > 0, text[count &- 1] == newline { count &-= 1 }
        return decimal(UnsafeBufferPointer(rebasing: text[..<count]))
    }
}

private let colon: UInt8 = 58
private let comma: UInt8 = 44

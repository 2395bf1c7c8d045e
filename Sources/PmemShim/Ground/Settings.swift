import CShimSys

/// The PMEMSHIM_* environment, read once at the start and kept outside the arena: it must survive fork, and the
/// program may overwrite its environment (PostgreSQL does, for its process titles).
struct Settings {
    /// Data calls on a file before it is mapped, unless PMEMSHIM_MAP_AFTER says otherwise: about what classifying,
    /// mapping and unmapping cost, in calls saved.
    static let defaultMapAfter: UInt32 = 24

    static var current: UnsafeMutablePointer<ps_settings> { ps_settings() }

    /// Reads `environment` (as of environ(7)). False: PMEMSHIM_DISABLE is set, the shim stays out.
    static func read(_ environment: UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> Bool {
        let settings = current
        settings.pointee.map_after = defaultMapAfter
        defer { settings.pointee.classify_after = settings.pointee.map_after / 3 }
        settings.pointee.used = 1  // offset 0 means "not set"
        guard var entry = environment else { return true }
        var enabled = true
        while let variable = entry.pointee {
            let text = UnsafePointer<UInt8>(OpaquePointer(variable))
            entry += 1
            guard let name = value(text, "PMEMSHIM_") else { continue }
            if let mounts = value(name, "MOUNTS=") {
                settings.pointee.mounts = keep(mounts)
            } else if let log = value(name, "LOG=") {
                if log[0] != 0 { settings.pointee.log = keep(log) }
            } else if let directory = value(name, "RUNTIME_DIR=") {
                if directory[0] == slash {
                    settings.pointee.runtime_directory = keep(directory)
                } else if directory[0] != 0 {
                    bad("PMEMSHIM_RUNTIME_DIR is not an absolute path: the default is used")
                }
            } else if let flag = value(name, "DISABLE=") {
                if flag[0] == one, flag[1] == 0 {
                    enabled = false
                } else if flag[0] != 0, !(flag[0] == zero && flag[1] == 0) {
                    bad("PMEMSHIM_DISABLE is neither 0 nor 1: taken as 1")
                    enabled = false
                }
            } else if let flag = value(name, "PARANOID=") {
                if flag[0] != 0, !(flag[0] == zero && flag[1] == 0) {
                    settings.pointee.paranoid = 1
                    if !(flag[0] == one && flag[1] == 0) { bad("PMEMSHIM_PARANOID is neither 0 nor 1: taken as 1") }
                }
            } else if let flag = value(name, "EXCLUSIVE=") {
                // Only what is exactly 1: it takes a guarantee away.
                if flag[0] == one, flag[1] == 0 {
                    settings.pointee.exclusive = 1
                } else if flag[0] != 0, !(flag[0] == zero && flag[1] == 0) {
                    bad("PMEMSHIM_EXCLUSIVE is neither 0 nor 1: taken as 0")
                }
            } else if let number = value(name, "MAP_AFTER=") {
                if let calls = decimal(UnsafeBufferPointer(start: number, count: length(number))), calls <= 1_000_000 {
                    settings.pointee.map_after = UInt32(calls)
                } else if number[0] != 0 {
                    bad("PMEMSHIM_MAP_AFTER is not a number from 0 to 1000000: the default is used")
                }
            }
        }
        return enabled
    }

    /// Records that a value was bad: shimctl shows it, stderr never does.
    static func bad(_ note: StaticString) {
        guard current.pointee.bad == 0 else { return }
        current.pointee.bad = keep(note.utf8Start)
    }

    /// There is a file on DAX: from now on the program's own mappings are of interest.
    static func noteDAX() { current.pointee.may_have_dax = 1 }

    /// The text that begins at `offset` of the kept ones; nothing for 0.
    static func text(_ offset: UInt32) -> UnsafeMutablePointer<UInt8>? {
        guard offset != 0, offset < ps_settings_text_capacity() else { return nil }
        return UnsafeMutableRawPointer(ps_settings_text()).advanced(by: Int(offset)).assumingMemoryBound(to: UInt8.self)
    }

    /// Copies `source` with its NUL; 0 when there is no room.
    private static func keep(_ source: UnsafePointer<UInt8>) -> UInt32 {
        let count = UInt32(truncatingIfNeeded: length(source)) &+ 1
        let start = current.pointee.used
        guard start &+ count <= ps_settings_text_capacity(), let target = text(start) else {
            return 0
        }
        for index in 0..<Int(count) { target[index] = source[index] }
        current.pointee.used = start &+ count
        return start
    }

    private static func value(_ text: UnsafePointer<UInt8>, _ prefix: StaticString) -> UnsafePointer<UInt8>? {
        var at = 0
        while at < prefix.utf8CodeUnitCount {
            guard text[at] == prefix.utf8Start[at] else { return nil }
            at &+= 1
        }
        return text + at
    }
}

private let zero: UInt8 = 48
private let one: UInt8 = 49

import CShimSys

/// The PMEMSHIM_* environment, read once at the start and kept outside the arena: it must survive fork, and the
/// program may overwrite its environment (PostgreSQL does, for its process titles).
struct Settings {
    static var current: UnsafeMutablePointer<ps_settings> { ps_settings() }

    /// Reads `environment` (as of environ(7)).
    /// - Returns: whether the shim serves; not where PMEMSHIM_DISABLE is set.
    static func read(_ environment: UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> Bool {
        let settings = current
        settings.pointee.map_after = PS_MAP_AFTER_LEAST.rawValue
        settings.pointee.classify_after = UInt32(1) << UInt32(Patience.usual)
        settings.pointee.by_price = 1
        settings.pointee.first_after = PS_FIRST_AFTER_USUAL.rawValue
        settings.pointee.used = 1  // offset 0 means "not set"
        guard var entry = environment else { return true }
        var enabled = true
        while let variable = entry.pointee {
            entry += 1
            var setting = ps_setting.mounts
            guard let start = ps_setting_value(variable, &setting) else { continue }
            let value = UnsafePointer<UInt8>(OpaquePointer(start))
            switch setting {
            case .mounts:
                settings.pointee.mounts = keep(value)
            case .log:
                if value[0] != 0 { settings.pointee.log = keep(value) }
            case .disable:
                if flag(value, otherwise: true, "PMEMSHIM_DISABLE is neither 0 nor 1: taken as 1") { enabled = false }
            case .mapAfter:
                readMapAfter(value)
            case .firstAfter:
                readFirstAfter(value)
            case .memory:
                readMemory(value)
            case .paranoid:
                if flag(value, otherwise: true, "PMEMSHIM_PARANOID is neither 0 nor 1: taken as 1") {
                    settings.pointee.paranoid = 1
                }
            case .exclusive:
                // Only what is exactly 1: it takes a guarantee away.
                if flag(value, otherwise: false, "PMEMSHIM_EXCLUSIVE is neither 0 nor 1: taken as 0") {
                    settings.pointee.exclusive = 1
                }
            case .runtimeDirectory:
                readRuntimeDirectory(value)
            case .library, .profiles:
                break  // shimctl reads it.
            }
        }
        return enabled
    }

    /// What a flag says: 1, or 0 or nothing.
    /// - Parameters:
    ///   - otherwise: what it is taken for where it says anything else.
    ///   - note: what is then noted.
    private static func flag(_ value: UnsafePointer<UInt8>, otherwise: Bool, _ note: StaticString) -> Bool {
        guard value[0] != 0 else { return false }
        if value[1] == 0, value[0] == zero || value[0] == one { return value[0] == one }
        bad(note)
        return otherwise
    }

    private static func readMapAfter(_ value: UnsafePointer<UInt8>) {
        if let calls = calls(value) {
            current.pointee.map_after = calls
            current.pointee.classify_after = calls / 3
            current.pointee.by_price = 0
        } else if value[0] != 0 {
            bad("PMEMSHIM_MAP_AFTER is not a number from 0 to 1000000: the default is used")
        }
    }

    private static func readFirstAfter(_ value: UnsafePointer<UInt8>) {
        if let calls = calls(value) {
            current.pointee.first_after = calls
        } else if value[0] != 0 {
            bad("PMEMSHIM_FIRST_AFTER is not a number from 0 to 1000000: the default is used")
        }
    }

    private static func calls(_ value: UnsafePointer<UInt8>) -> UInt32? {
        guard let calls = decimal(UnsafeBufferPointer(start: value, count: length(value))),
            calls <= UInt64(PS_MAP_AFTER_MOST.rawValue)
        else { return nil }
        return UInt32(calls)
    }

    private static func readMemory(_ value: UnsafePointer<UInt8>) {
        if let bytes = ByteCount.parse(UnsafeBufferPointer(start: value, count: length(value))) {
            current.pointee.memory = bytes
            current.pointee.has_memory = 1
        } else if value[0] != 0 {
            bad("PMEMSHIM_MEMORY is not a number of bytes (as 65536, 64K, 8M, 1G): the default is used")
        }
    }

    private static func readRuntimeDirectory(_ value: UnsafePointer<UInt8>) {
        if value[0] == slash {
            current.pointee.runtime_directory = keep(value)
        } else if value[0] != 0 {
            bad("PMEMSHIM_RUNTIME_DIR is not an absolute path: the default is used")
        }
    }

    /// Records that a value was bad: shimctl shows it, stderr never does.
    static func bad(_ note: StaticString) {
        guard current.pointee.bad == 0 else { return }
        current.pointee.bad = keep(note.utf8Start)
    }

    /// Whether what steps cost decides when they are made (``Price``), and not PMEMSHIM_MAP_AFTER.
    @inline(__always)
    static var isByPrice: Bool { current.pointee.by_price != 0 }

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
}

private let zero: UInt8 = 48
private let one: UInt8 = 49

import CShimSys
import Synchronization

// The engine's side of ps_engine.h: the application's own shared mappings of DAX files.

@c(ps_engine_may_have_dax) @implementation
public func engineMayHaveDAX() -> Bool { Settings.current.pointee.may_have_dax != 0 && ps_root() != nil }

@c(ps_engine_note_dax) @implementation
public func engineNoteDAX() { Settings.noteDAX() }

@c(ps_engine_map_shared) @implementation
public func engineMapShared(fd: Int32, offset: Int64, length: Int, statistics: UnsafeMutablePointer<Int32>) -> Int {
    guard let engine = Engine.current else { return 0 }
    var facts = ps_file_facts()
    guard ps_sys_facts_of_descriptor(fd, &facts) == 0,
        facts.mode.isModeOfRegularFile,
        facts.attributes & UInt64(PS_ATTRIBUTE_DAX) != 0
    else { return 0 }
    ps_note_unseen(facts.device, facts.inode)
    guard ps_given_way() & GiveWay.stops == 0, offset >= 0, length > 0, let index = engine.readyForFaults(fd, facts)
    else {
        return 0
    }
    statistics.pointee = Int32(index)
    // The page the file ends in is the kernel's, as everywhere.
    let end = min(offset.addingReportingOverflow(Int64(length)).partialValue, facts.size & ~4_095)
    guard end > offset, ps_sys_is_written(fd, offset, end &- offset) else { return 0 }
    return Int(end &- offset)
}

@c(ps_engine_count_msync) @implementation
public func engineCountMsync(statistics: Int32) {
    guard let engine = Engine.current, let thread = engine.currentThread() else { return }
    thread.count(Int(statistics & 3), PS_FAMILY_MSYNC, PS_OUTCOME_SERVED)
}

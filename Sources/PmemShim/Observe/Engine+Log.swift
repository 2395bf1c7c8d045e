import CShimSys

extension Engine {
    /// Lines one process may write: a log for people, not a trace.
    private static let mostLines: UInt32 = 10_000

    /// One line per file and verdict to PMEMSHIM_LOG: pid, verdict, the file as the kernel names it, and why. Nothing
    /// where no log was asked for or it cannot be written.
    ///
    /// The file is opened for this line and closed again: a descriptor kept open would be one more that the program
    /// does not expect.
    func log(_ held: LockHeld, _ fd: Int32, _ verdict: StaticString, _ reason: StaticString) {
        guard isLogging(held) else { return }
        var line = beginLine(held)
        line.append(verdict)
        line.append(" ")
        let location = scratch(held) + 16_384
        let name = UnsafeMutablePointer<CChar>(OpaquePointer(location))
        let count = ps_sys_location(fd, name, longestPath)
        var at = 0
        while at < count {
            let byte = location[at]
            line.append(byte: byte < 32 ? 63 : byte)  // a file name may hold a newline; a line of ours may not
            at &+= 1
        }
        if reason.utf8CodeUnitCount > 0 {
            line.append(": ")
            line.append(reason)
        }
        if isNew(held, line.count) { write(held, &line) }
    }

    /// Whether the line in the scratch room has not been told before by this process. A full table tells no more.
    private func isNew(_ held: LockHeld, _ count: Int) -> Bool {
        let scratch = scratch(held)
        let said = said(held)
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
        for at in 0..<count { hash = (hash ^ UInt64(scratch[at])) &* 0x100_0000_01b3 }
        if hash == 0 { hash = 1 }
        for step in 0..<Arena.said {
            let slot = said + Int((hash &+ UInt64(step)) & UInt64(Arena.said &- 1))
            if slot.pointee == hash { return false }
            if slot.pointee == 0 {
                slot.pointee = hash
                return true
            }
        }
        return false
    }

    /// A line that is about no file.
    func log(_ held: LockHeld, _ text: UnsafePointer<UInt8>) {
        guard isLogging(held) else { return }
        var line = beginLine(held)
        line.append(text)
        write(held, &line)
    }

    private func isLogging(_ held: LockHeld) -> Bool {
        Settings.current.pointee.log != 0 && observe.pointee.logged < Engine.mostLines
    }

    private func beginLine(_ held: LockHeld) -> PathText {
        var line = PathText(scratch(held), capacity: 8_192)
        line.append("pmemshim[")
        line.append(UInt64(max(ps_sys_process(), 0)))
        line.append("] ")
        return line
    }

    /// Only regular files: opening or writing a FIFO, a terminal or a device may wait for somebody, or send SIGPIPE.
    /// And none where the length of files is limited: at the limit the kernel sends SIGXFSZ.
    private func write(_ held: LockHeld, _ line: inout PathText) {
        guard let path = Settings.text(Settings.current.pointee.log), !ps_sys_file_size_limited(),
            // Not while it acts for another user: the file would be that one's, or be written with his rights.
            ps_sys_only_user() >= 0
        else { return }
        observe.pointee.logged &+= 1
        line.append("\n")
        let name = UnsafePointer<CChar>(OpaquePointer(path))
        let flags =
            OpenFlag.writeOnly | OpenFlag.append | OpenFlag.noFollow | OpenFlag.closeOnExec
            | OpenFlag.nonBlocking | OpenFlag.noControllingTerminal
        // A FIFO must not even be opened: its reader would see the end of the file when it is closed again.
        let looked = ps_sys_open(name, OpenFlag.path | OpenFlag.noFollow | OpenFlag.closeOnExec, 0)
        if looked >= 0 {
            let isRegular = isRegularFile(looked)
            _ = ps_sys_close(Int32(truncatingIfNeeded: looked))
            guard isRegular else { return Settings.bad("PMEMSHIM_LOG is not a regular file: nothing is logged") }
        }
        let log = ps_sys_open(name, Int32(looked >= 0 ? flags : flags | OpenFlag.create), 0o600)
        guard log >= 0 else { return }
        if isRegularFile(log) { _ = ps_sys_write(Int32(truncatingIfNeeded: log), scratch(held), line.count) }
        _ = ps_sys_close(Int32(truncatingIfNeeded: log))
    }

    private func isRegularFile(_ fd: Int) -> Bool {
        var facts = ps_own_facts()
        return ps_sys_own_facts(Int32(truncatingIfNeeded: fd), &facts) == 0
            && facts.mode.isModeOfRegularFile
    }
}

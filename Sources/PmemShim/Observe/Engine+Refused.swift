import CShimSys

// Settings that came to nothing: `shimctl stats` shows them. Where nothing is served there is no record that a note
// could stand in, and a user who has misspelt a directory would never be told.
extension Engine {
    /// Bytes of the file `refused`, after which nobody writes to it any more.
    private static let mostRefused: Int64 = 64 << 10
    /// Bytes at its end that are searched for the same text, so that a thousand processes say it once.
    private static let searched = 16 << 10

    /// Writes "TIME PID COMMAND: TEXT DIRECTORY", once while nothing much else is said.
    func refuse(_ held: LockHeld, _ text: StaticString, _ directory: UnsafeBufferPointer<UInt8>) {
        let scratch = scratch(held)
        let me = Int32(truncatingIfNeeded: ps_sys_process())
        var identity = ProcessIdentity()
        identity.read(me, scratch, capacity: longestPath)
        // The directory may lie in the scratch room, but not where the line is put together.
        var line = PathText(scratch + 32_768, capacity: 8_192)
        line.append(UInt64(max(ps_sys_realtime_now(), 0)) / 1_000_000_000)
        line.append(" ")
        line.append(UInt64(max(me, 0)))
        line.append(" ")
        withUnsafeBytes(of: identity.command) {
            for byte in $0.prefix(while: { $0 != 0 }) { line.append(byte: byte < 32 || byte == 127 ? 63 : byte) }
        }
        let start = line.count
        line.append(": ")
        line.append(text)
        for byte in directory { line.append(byte: byte < 32 || byte == 127 ? 63 : byte) }
        line.append("\n")
        guard let file = RuntimeFile.open("refused", size: 0, scratch, capacity: longestPath, isGood: { _ in true })
        else {
            return
        }
        defer { file.close() }
        let size = file.facts.size
        guard size < Engine.mostRefused,
            !isSaid(held, file, scratch + 32_768 + start, line.count &- start)
        else { return }
        _ = ps_sys_pwrite(file.fd, scratch + 32_768, line.count, size)
    }

    /// Whether the end of the file holds those bytes.
    private func isSaid(
        _ held: LockHeld, _ file: RuntimeFile, _ text: UnsafePointer<UInt8>, _ length: Int
    ) -> Bool {
        let from = max(file.facts.size &- Int64(Engine.searched), 0)
        let room = scratch(held) + 8_192
        let count = ps_sys_pread(file.fd, room, Engine.searched, from)
        var at = 0
        while at &+ length <= count {
            var same = 0
            while same < length, room[at &+ same] == text[same] { same &+= 1 }
            if same == length { return true }
            at &+= 1
        }
        return false
    }
}

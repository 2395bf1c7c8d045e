import Foundation
import TestSupport
import Testing

/// gdb on a program under the shim (docs/debugging.md): `stepped.c` reads a file, reads it again where it has been cut
/// off, so that the library's copy faults, and then raises and handles a SIGBUS of its own.
@Suite struct DebuggerTests {
    private static let helper = "\(Shim.packageRoot)/scripts/gdb/libpmemshim.so-gdb.py"
    private static var ownSignal: Regex<Substring> { #/Catchpoint 1 \(signal SIGBUS\)[^\n]* in main /# }

    /// What `stepped` prints without a debugger and without the shim.
    private func native() throws -> String {
        let mount = try ScratchMount(.tmpfs)
        defer { mount.close() }
        let run = try spawn(Script.stepped.get(), [mount.path("file")])
        #expect(run.ending == .exited(0))
        #expect(run.stdout.contains("own SIGBUS, and on\nin a thread: 4096, 163840\nend\n"))
        return run.stdout
    }

    /// gdb's own words and the program's, in one text.
    private func debug(_ commands: [String], options: [String] = []) throws -> String {
        let mount = try ScratchMount(.tmpfs)
        defer { mount.close() }
        let statistics = try ScratchDirectory(in: "/dev/shm")
        defer { statistics.close() }
        // The debugger itself, and a shell, go without the shim.
        let settings = try [
            "startup-with-shell off", "debuginfod enabled off", "width 0", "environment LD_PRELOAD \(Shim.library)",
            "environment PMEMSHIM_MOUNTS \(mount.item)", "environment PMEMSHIM_RUNTIME_DIR \(statistics.path)",
            "environment PMEMSHIM_MAP_AFTER 0",
        ].flatMap { ["-ex", "set \($0)"] }
        let run = try spawn(
            "/usr/bin/gdb",
            ["-nx", "-batch"] + options + settings + commands.flatMap { ["-ex", $0] } + ["--args"]
                + [Script.stepped.get(), mount.path("file")], timeout: .seconds(120))
        #expect(run.ending == .exited(0), "\(run.stderr)")
        #expect(try ServedCounts.read(runtimeDirectory: statistics.path).served("pread") >= 600)
        return run.stdout + run.stderr
    }

    private func expectNormalEnd(_ text: String) throws {
        for line in try native().split(separator: "\n") { #expect(text.contains(line), "\(text)") }
        #expect(text.contains("exited normally]"), "\(text)")
    }

    @Test("without the helper gdb stops at a fault of the library's")
    func stopsWithoutTheHelper() throws {
        let text = try debug(["run", "backtrace"])
        #expect(text.contains("Program received signal SIGBUS"))
        #expect(text.contains(#/#0 [^\n]*ps_copy/#), "\(text)")
    }

    @Test("with what docs/debugging.md has one type gdb stops nowhere")
    func passesBothSignals() throws {
        let text = try debug(["handle SIGBUS SIGSEGV nostop noprint pass", "run"])
        #expect(!text.contains("received signal"))
        try expectNormalEnd(text)
    }

    @Test("with the helper gdb stops at the program's own SIGBUS only, which reaches the program")
    func stopsAtThePrograms() throws {
        let text = try debug(["source \(Self.helper)", "run", "continue", "info pmemshim"])
        #expect(text.matches(of: #/signal SIGBUS/#).count == 1, "\(text)")
        #expect(text.contains(Self.ownSignal), "\(text)")
        #expect(text.contains(#/that were let pass: [1-9]/#), "\(text)")
        try expectNormalEnd(text)
    }

    @Test("gdb loads the helper by itself from where a package puts it")
    func loadsTheHelperByItself() throws {
        let directory = try ScratchDirectory()
        defer { directory.close() }
        let library = URL(filePath: try Shim.library).resolvingSymlinksInPath()
        let place = directory.path + library.deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: Self.helper, toPath: "\(place)/\(library.lastPathComponent)-gdb.py")
        let text = try debug(
            ["run", "continue"],
            options: [
                "-iex", "set auto-load scripts-directory \(directory.path)", "-iex",
                "add-auto-load-safe-path \(directory.path)",
            ])
        #expect(text.contains(Self.ownSignal), "\(text)")
        #expect(text.matches(of: #/signal SIGBUS/#).count == 1, "\(text)")
        try expectNormalEnd(text)
    }

    @Test("gdb steps through the copy of a served read, with the program's frames below it, and out of it")
    func stepsThroughAServedRead() throws {
        let text = try debug([
            "source \(Self.helper)", "break whole_read", "run", "tbreak ps_copy_probed", "continue", "backtrace",
            "stepi 5", "printf \"stepped in: %d\\n\", $pmemshim_own_fault()", "stepi 200", "finish", "up 2",
            "tbreak printf", "continue", "finish", "delete", "handle SIGBUS nostop", "continue",
        ])
        #expect(text.contains(#/#0 [^\n]*ps_copy_probed/#), "\(text)")
        #expect(text.contains(#/#\d+ [^\n]* pread \(/#), "\(text)")
        #expect(text.contains(#/#\d+ [^\n]* whole_read \(fd=3\)/#), "\(text)")
        #expect(text.contains(#/#\d+ [^\n]* main \(/#), "\(text)")
        #expect(text.contains("stepped in: 1"), "\(text)")
        try expectNormalEnd(text)
    }

    @Test("next over a read whose copy faults stops behind it, and so does finish out of the fault")
    func stepsOverAFault() throws {
        let text = try debug([
            "source \(Self.helper)", "break cut_read", "run", "next", "printf \"passed\\n\"", "info pmemshim",
            "continue",
            "tbreak ps_copy_probed", "continue", "finish", "printf \"finished\\n\"", "delete", "continue",
        ])
        // `next` left the function: its caller's line comes before the word.
        let parts = text.split(separator: "passed\n", maxSplits: 1)
        #expect(parts.first?.contains(#/main \([^\n]*\n\d+\s+printf\("cut: /#) == true, "\(text)")
        #expect(text.contains(#/that were let pass: [1-9]/#), "\(text)")
        #expect(text.contains("finished"))
    }

    @Test("stepi at the faulting instruction goes into the handler")
    func stepsIntoTheHandler() throws {
        let loop = """
            python
            b, e, x = guarded()
            while b <= int(gdb.newest_frame().pc()) < e: gdb.execute('stepi', to_string=True)
            """
        let file = try ScratchDirectory()
        defer { file.close() }
        try (loop + "\nend\n").write(toFile: "\(file.path)/loop", atomically: true, encoding: .utf8)
        let text = try debug([
            "source \(Self.helper)", "break cut_read", "run", "tbreak ps_copy_probed", "continue",
            "source \(file.path)/loop", "backtrace", "delete", "handle SIGBUS nostop noprint", "continue",
        ])
        #expect(text.contains(#/#0 +ps_signals_arrived /#), "\(text)")
        #expect(text.contains("<signal handler called>"), "\(text)")
        #expect(text.contains(#/#\d+ [^\n]* main \(/#), "\(text)")
        try expectNormalEnd(text)
    }

    @Test("a backtrace in a handler of the program's own reaches main")
    func backtraceInAHandler() throws {
        let text = try debug(["source \(Self.helper)", "break on_own", "run", "continue", "backtrace", "continue"])
        #expect(text.contains(#/#0 +on_own /#), "\(text)")
        #expect(text.contains("<signal handler called>"), "\(text)")
        #expect(text.contains(#/#\d+ [^\n]* main \(/#), "\(text)")
        try expectNormalEnd(text)
    }

    @Test("a backtrace out of a step on the library's own stack reaches the thread's first function")
    func backtraceFromTheOwnStack() throws {
        let text = try debug([
            "source \(Self.helper)", "break first_reads", "run", "continue", "tbreak ps_switch_stack", "continue",
            "stepi 12", "backtrace", "delete", "continue",
        ])
        // The frame of ps_switch_stack.
        #expect(text.contains(#/#\d+ +<signal handler called>\n#\d+ [^\n]*ps_on_own_stack/#), "\(text)")
        #expect(text.contains(#/#\d+ [^\n]* first_reads \(/#), "\(text)")
        try expectNormalEnd(text)
    }

    @Test("where the helper's catchpoint is deleted gdb stops as without it, and loading it again mends that")
    func deletedCatchpoint() throws {
        let text = try debug([
            "source \(Self.helper)", "delete", "run", "source \(Self.helper)", "continue", "continue",
        ])
        #expect(text.contains("Program received signal SIGBUS"), "\(text)")
        #expect(text.contains(#/Catchpoint \d+ \(signal SIGBUS\)[^\n]* in main /#), "\(text)")
        try expectNormalEnd(text)
    }
}

import Foundation
import TestSupport
import Testing

/// What a program started by `shimctl run` sees, and what its end is.
struct RunTests {
    @Test func returnsTheProgramsExitStatus() throws {
        #expect(try shimctl("run", "--mount", "/dev/shm", "--", "/bin/sh", "-c", "exit 37").ending == .exited(37))
    }

    @Test func diesOfTheSignalTheProgramDiesOf() throws {
        #expect(
            try shimctl("run", "--mount", "/dev/shm", "--", "/bin/sh", "-c", "kill -TERM $$").ending == .signalled(15))
    }

    @Test func keepsItsProcessIdentifier() throws {
        let run = try spawn(
            "/bin/sh", ["-c", "echo $$; exec \"$0\" run --mount /dev/shm -- /bin/sh -c 'echo $$'", Shim.shimctl],
            environment: ["PMEMSHIM_LIBRARY": EmptyLibrary.shared.get().path, "PATH": "/usr/bin:/bin"])
        #expect(run.lines.count == 3)
        #expect(run.lines.first == run.lines.dropFirst().first)
    }

    @Test func handsArgumentsOnUnchanged() throws {
        let arguments = ["--mount", "--", "-x", "a b", "", "--help", "$HOME", "'"]
        let run = try shimctl(["run", "--mount", "/dev/shm", "--", "/usr/bin/printf", "<%s>\n"] + arguments)
        #expect(run.stdout == arguments.map { "<\($0)>\n" }.joined())
    }

    @Test func handsArgumentsOnThatAreNotUTF8() throws {
        let run = try spawn(
            "/bin/bash",
            ["-c", #"exec "$0" run --mount /dev/shm -- /usr/bin/printf '%s' $'a\xff\xc3b'"#, Shim.shimctl],
            environment: ["PMEMSHIM_LIBRARY": EmptyLibrary.shared.get().path])
        #expect(run.output == [0x61, 0xff, 0xc3, 0x62])
    }

    @Test func handsTheEnvironmentOnThatIsNotUTF8() throws {
        let run = try spawn(
            "/bin/bash",
            ["-c", #"V=$'a\xff\xc3b' exec "$0" run --mount /dev/shm -- /bin/sh -c 'printf %s "$V"'"#, Shim.shimctl],
            environment: ["PMEMSHIM_LIBRARY": EmptyLibrary.shared.get().path])
        #expect(run.output == [0x61, 0xff, 0xc3, 0x62])
    }

    @Test func passesStandardInputThrough() throws {
        let run = try spawn(
            Shim.shimctl, ["run", "--mount", "/dev/shm", "/bin/cat"],
            environment: ["PMEMSHIM_LIBRARY": EmptyLibrary.shared.get().path], stdin: Array("through".utf8))
        #expect(run.stdout == "through")
    }

    @Test func takesTheCommandWithoutTerminatorToo() throws {
        let run = try shimctl("run", "--mount", "/dev/shm", "/bin/echo", "-n", "--mount")
        #expect(run.stdout == "--mount")
    }

    @Test func loadsTheLibrary() throws {
        let source =
            EmptyLibrary.source + "\n#include <unistd.h>\n"
            + #"__attribute__((constructor)) static void hello(void) { write(2, "loaded", 6); }"#
        let library = try Compiled(source, name: "libpmemshim.so", ["-shared", "-fPIC"])
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", "/bin/true", environment: ["PMEMSHIM_LIBRARY": library.path])
        #expect(run.stderr == "loaded")
    }

    @Test func addsToThePreloadThatIsThere() throws {
        let (other, preload) = try preloaded(beside: "libother.so")
        #expect(preload == "\(other):\(try EmptyLibrary.shared.get().path)\n")
    }

    /// The path of a library of that name, and LD_PRELOAD as a program sees it that is run where it names that library.
    private func preloaded(beside name: String) throws -> (path: String, preload: String) {
        let library = try Compiled("int other;", name: name, ["-shared", "-fPIC"])
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", "/usr/bin/printenv", "LD_PRELOAD",
            environment: ["LD_PRELOAD": library.path])
        return (library.path, run.stdout)
    }

    @Test func preloadsTheShimOnceWhenNested() throws {
        let library = try EmptyLibrary.shared.get().path
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", try Shim.shimctl, "run", "--mount", "/dev/shm", "--",
            "/usr/bin/printenv", "LD_PRELOAD")
        #expect(run.stdout == library + "\n")
    }

    @Test func replacesAnotherCopyOfTheShim() throws {
        #expect(try preloaded(beside: "libpmemshim.so").preload == "\(try EmptyLibrary.shared.get().path)\n")
    }

    @Test func saysThatThereIsNoSuchCommand() throws {
        let run = try shimctl("run", "--mount", "/dev/shm", "--", "no-such-command-anywhere")
        #expect(run.ending == .exited(127))
        #expect(run.stderr == "shimctl run: no-such-command-anywhere: command not found\n")
    }

    @Test func saysThatAFileIsNotExecutable() throws {
        let run = try shimctl("run", "--mount", "/dev/shm", "--", "/etc/passwd")
        #expect(run.ending == .exited(126))
        #expect(run.stderr.contains("/etc/passwd: Permission denied"))
    }

    @Test func saysThatThereIsNoLibrary() throws {
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", "/bin/true", environment: ["PMEMSHIM_LIBRARY": "/no/libpmemshim.so"])
        #expect(run.ending == .exited(69))
        #expect(run.stderr.contains("/no/libpmemshim.so"))
    }

    @Test func refusesALibraryThatIsNone() throws {
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", "/bin/true", environment: ["PMEMSHIM_LIBRARY": "/etc/passwd"])
        #expect(run.ending == .exited(69))
        #expect(run.stderr.contains("\"/etc/passwd\" is not a shared library for x86-64"))
    }

    @Test func refusesALibraryWhosePathLdSoWouldSplit() throws {
        let library = try Compiled("int nothing;", name: "lib pmemshim.so", ["-shared", "-fPIC"])
        let run = try shimctl(
            "run", "--mount", "/dev/shm", "--", "/bin/true", environment: ["PMEMSHIM_LIBRARY": library.path])
        #expect(run.ending == .exited(69))
        #expect(run.stderr.contains("spaces and colons"))
    }

    @Test func warnsWhenNothingIsServed() throws {
        // The tests beside this one attach devices, which are served without being named: they are hidden here.
        let hide = "mkdir -p /run/pmemshim && mount -t tmpfs none /run/pmemshim; exec \"$0\" run -- /bin/echo ran"
        let run =
            try geteuid() == 0
            ? spawn(
                "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", hide, Shim.shimctl],
                environment: ["PATH": "/usr/bin:/bin", "PMEMSHIM_LIBRARY": Shim.library])
            : shimctl("run", "--", "/bin/echo", "ran")
        #expect(run.stdout == "ran\n")
        #expect(run.stderr.contains("no directory is served"))
    }
}

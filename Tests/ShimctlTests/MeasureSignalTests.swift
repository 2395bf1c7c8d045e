import Foundation
import TestSupport
import Testing

/// The terminal's signals in the first moments of a command that runs a program. They go to every process that there is
/// at that moment: a library that is preloaded into shimctl sends them, as the kernel does, at moments that no test
/// could meet from outside.
@Suite("signals before a program runs") struct MeasureSignalTests {
    private let fixture: MeasuredProgram

    init() throws { fixture = try MeasuredProgram() }

    private static let library = Result {
        try Compiled(
            """
            #include <dlfcn.h>
            #include <signal.h>
            #include <spawn.h>
            #include <stdlib.h>
            #include <string.h>
            #include <sys/syscall.h>
            #include <sys/wait.h>
            #include <unistd.h>
            static void press(const char *moment)
            {
                const char *wanted = getenv("PRESS_AT");
                siginfo_t info = {.si_signo = SIGINT, .si_code = SI_KERNEL};
                if (wanted && !strcmp(wanted, moment)) syscall(SYS_rt_sigqueueinfo, getpid(), SIGINT, &info);
            }
            int sigprocmask(int how, const sigset_t *set, sigset_t *old)
            {
                int (*next)(int, const sigset_t *, sigset_t *) = dlsym(RTLD_NEXT, "sigprocmask");
                int result = next(how, set, old);
                if (how == SIG_BLOCK && set && sigismember(set, SIGINT)) press("block");
                return result;
            }
            pid_t fork(void)
            {
                pid_t (*next)(void) = dlsym(RTLD_NEXT, "fork");
                press("fork");
                return next();
            }
            pid_t waitpid(pid_t pid, int *status, int options)
            {
                pid_t (*next)(pid_t, int *, int) = dlsym(RTLD_NEXT, "waitpid");
                pid_t result = next(pid, status, options);
                if (result > 0) press("end");
                return result;
            }
            int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                             const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
            {
                int (*next)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                            char *const[], char *const[]) = dlsym(RTLD_NEXT, "posix_spawnp");
                press("spawn");
                return next(pid, file, actions, attributes, argv, envp);
            }
            """, name: "press.so", ["-shared", "-fPIC"]
        ).keptUntilExit()
    }

    private func run(_ verb: [String], pressAt moment: String, _ program: [String]) throws -> Run {
        try spawn(
            Shim.shimctl, verb + ["--mount", fixture.mount.directory, "--"] + program,
            environment: fixture.environment.merging([
                "PATH": "/usr/bin:/bin", "LD_PRELOAD": try Self.library.get().path, "PRESS_AT": moment,
            ]) { $1 }, timeout: .seconds(60))
    }

    @Test("an interrupt between the last look and the program's start reaches it", arguments: ["fork", "spawn"])
    func reaches(moment: String) throws {
        let run = try run(["stat"], pressAt: moment, ["/usr/bin/sleep", "1000"])
        #expect(run.ending == .exited(130), "\(run.stderr)")
    }

    @Test("an interrupt before that ends record with 130, and no program is started")
    func ends() throws {
        let record = ["record", "-o", "\(fixture.scratch.path)/r"]
        let run = try run(record, pressAt: "block", ["/bin/echo", "ran"])
        #expect(run.ending == .exited(130), "\(run.stderr)")
        #expect(run.stdout == "")
        #expect(run.stderr.contains("before the program was started"), "\(run.stderr)")
    }

    @Test("an interrupt between two runs of stat keeps the figures of those that were made")
    func keepsFigures() throws {
        let run = try run(["stat", "-r", "5"], pressAt: "end", ["/bin/echo", "ran"])
        #expect(run.ending == .exited(130), "\(run.stderr)")
        #expect(run.stdout == "ran\n")
        #expect(run.stderr.contains("before the program was started"), "\(run.stderr)")
        #expect(run.stderr.contains("Figures of '/bin/echo ran':"), "\(run.stderr)")
    }

    @Test("compare begins no second run after an interrupt that came before the first one's start")
    func stopsComparing() throws {
        let log = "\(fixture.scratch.path)/log"
        let run = try run(
            ["compare", "-n", "5", "-p", "echo x >> '\(log)'", "--ignore-failure"], pressAt: "spawn",
            ["/usr/bin/sleep", "1000"])
        #expect(run.ending == .exited(1), "\(run.stderr)")
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "x\n")
    }
}

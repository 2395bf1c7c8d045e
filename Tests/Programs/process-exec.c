// Programs started from a program that is served, in every way libc has: with file actions, through a shell, by exec
// that fails, in the background. What the started program does with what it was given, its starter sees.
#include <pthread.h>
#include <spawn.h>

#include "process.h"

static int one, two;

// Numbers that every shell and helper can be told.
static void open_both(void)
{
    one = numbered(open_file("one", 1, O_RDWR), 7);
    two = numbered(open_file("two", 2, O_RDWR), 8);
    fcntl(one, F_SETFD, 0);
    fcntl(two, F_SETFD, 0);
    warm(one);
    warm(two);
}

static void spawned(const char *what, posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int shim,
                    char *const *arguments)
{
    pid_t child;
    say("-- %s, %s", what, shim_names[shim]);
    fflush(stdout);
    if (CALL(posix_spawn(&child, helper(), actions, attributes, arguments, shim == WITH_SHIM ? environ : no_shim)) == 0)
        wait_for(child);
    posix_spawn_file_actions_destroy(actions);
    posix_spawn_file_actions_init(actions);
    step("after", one);
    step("after", two);
}

static void by_posix_spawn(void)
{
    open_both();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    for (int shim = 0; shim < 2; shim++) {
        char *steps[] = {"helper", "steps", "7", "50", "3", NULL}, *probe[] = {"helper", "probe", "7", "8", "0", NULL};
        spawned("nothing", &actions, NULL, shim, steps);
        spawned("attributes", &actions, &attributes, shim, steps);
        posix_spawn_file_actions_adddup2(&actions, two, one);
        spawned("dup2", &actions, NULL, shim, probe);
        posix_spawn_file_actions_addclose(&actions, one);
        spawned("close", &actions, NULL, shim, probe);
        posix_spawn_file_actions_addopen(&actions, one, "two", O_RDWR, 0);
        posix_spawn_file_actions_addopen(&actions, 0, "one", O_RDONLY, 0);
        spawned("open", &actions, NULL, shim, probe);
        posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        spawned("closefrom", &actions, NULL, shim, probe);
        posix_spawn_file_actions_addopen(&actions, one, "/nonexistent", O_RDWR, 0);
        spawned("an action that fails", &actions, NULL, shim, probe);
    }
    pid_t child;
    CALL(posix_spawn(&child, "/nonexistent", NULL, NULL, (char *[]){"x", NULL}, environ));
    CALL(posix_spawnp(&child, "no-such-program-anywhere", NULL, NULL, (char *[]){"x", NULL}, environ));
    step("after", one);
    truth("one");
    truth("two");
}

static void by_shells(void)
{
    static const char *const commands[] = {
        "head -c 10000 <&7 | cksum",
        "head -c 5000 <&7 >/dev/null; head -c 5000 <&8 | cksum; cat <&7 | cksum",
        "dd if=one of=/dev/fd/7 bs=4096 count=3 conv=notrunc status=none; cksum one",
        "exec 7<&8; head -c 100 <&7 | cksum",
        "exec 7<&-; cat <&7 2>/dev/null; echo $?",
        "printf %05000d 1 1<>two; printf %05000d 2 >>two; printf %0600d 3 >&8; cksum two",
        "(echo a; /bin/echo b; cat two) >> one; cksum one",
    };
    open_both();
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        say("-- system: %s", commands[i]);
        fflush(stdout);
        CALL(system(commands[i]));
        step("after", one);
        step("after", two);
        say("-- popen: %s", commands[i]);
        fflush(stdout);
        FILE *stream = popen(commands[i], "r");
        size_t count = fread(buffer, 1, sizeof buffer, stream);
        say("%.*s", (int)count, buffer);
        CALL(pclose(stream));
        step("after", one);
    }
    say("-- popen for writing");
    fflush(stdout);
    FILE *stream = popen("cat >&7", "w");
    fill(buffer, 3, 0, 100000);
    CALL(fwrite(buffer, 1, 100000, stream));
    CALL(pclose(stream));
    step("after", one);
    truth("one");
    truth("two");
}

static void fails_to_exec(int way)
{
    char *const arguments[] = {"x", NULL};
    switch (way) {
    case 0: CALL(execv("/nonexistent", arguments)); break;
    case 1: CALL(execv("one", arguments)); break; // not executable
    case 2: CALL(execv(".", arguments)); break;
    case 3: CALL(execve("text", arguments, environ)); break; // of no known format
    case 4: CALL(fexecve(two, arguments, environ)); break;
    case 5: CALL(execvp("no-such-program-anywhere", arguments)); break;
    case 6: {
        static char *many[20000];
        static char long_argument[131000];
        memset(long_argument, 'x', sizeof long_argument - 1);
        for (int i = 0; i < 19999; i++)
            many[i] = long_argument;
        CALL(execv("/bin/true", many));
        break;
    }
    }
}

static void by_failed_exec(void)
{
    open_both();
    int text = open("text", O_WRONLY | O_CREAT, 0755);
    write(text, "\0nothing\n", 9);
    close(text);
    int hidden = open("one", O_RDWR | O_CLOEXEC);
    warm(hidden);
    for (int way = 0; way < 7; way++) {
        say("-- way %d", way);
        fails_to_exec(way);
        step("after", one);
        look("closed on exec, but there was none", hidden);
        IN_CHILD({
            fails_to_exec(way);
            step("child", one);
            look("child", hidden);
            dup2(two, one);
            look("child", one);
        });
        fflush(stdout);
        static char said[64];
        pid_t child = vfork();
        if (child == 0) {
            dup2(two, one);
            execl("/nonexistent", "x", NULL);
            snprintf(said, sizeof said, "%s", strerrorname_np(errno));
            _exit(1);
        }
        wait_for(child);
        say("  %s", said);
        look("parent", one);
    }
    truth("one");
}

// The program is replaced while other threads are in served calls.
static void *reads_for_ever(void *fd)
{
    static __thread unsigned char bytes[65536];
    for (long i = 0;; i++)
        if (pread((int)(long)fd, bytes, sizeof bytes, i % 60 * 65536) < 0)
            return NULL;
}

static void *execs(void *shim)
{
    EXEC_HELPER((long)shim, "steps", "7", "70", "2");
    return NULL;
}

static void by_exec_among_threads(void)
{
    open_both();
    for (long way = 0; way < 4; way++) {
        say("-- %s, from %s", shim_names[way % 2], way < 2 ? "the first thread" : "another thread");
        IN_CHILD({
            pthread_t thread;
            for (int i = 0; i < 2; i++)
                pthread_create(&thread, NULL, reads_for_ever, (void *)(long)one);
            usleep(2000);
            if (way >= 2) {
                pthread_create(&thread, NULL, execs, (void *)(way % 2));
                pthread_join(thread, NULL);
            }
            execs((void *)(way % 2));
        });
        step("after", one);
    }
    truth("one");
}

// A program just read, copied and compared through served calls is executed through its descriptor.
static void by_fexecve(void)
{
    open_both();
    int from = open("/bin/true", O_RDONLY), to = open("program", O_RDWR | O_CREAT | O_CLOEXEC, 0755);
    for (ssize_t count; (count = read(from, buffer, sizeof buffer)) > 0;)
        write(to, buffer, (size_t)count);
    for (int i = 0; i < 8; i++) {
        pread(to, buffer, 8192, 4096 * i);
        pwrite(to, buffer, 8192, 4096 * i);
    }
    IN_CHILD(CALL(fexecve(to, (char *[]){"true", NULL}, environ))); // ETXTBSY: it is open for writing
    close(to);
    int program = open("program", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 8; i++)
        pread(program, buffer, 8192, 4096 * i);
    IN_CHILD({
        pread(program, buffer, 8192, 4096);
        fexecve(program, (char *[]){"true", NULL}, environ);
        _exit(9);
    });
    pread(program, buffer, 8192, 4096);
    CALL(open("program", O_RDWR) >= 0);
    CALL(unlink("program"));
    IN_CHILD({
        fexecve(program, (char *[]){"true", NULL}, environ);
        _exit(9);
    });
}

// A daemon goes on when its parents are gone; what it does is waited for through a pipe.
static void by_daemon(void)
{
    open_both();
    for (int way = 0; way < 3; way++) {
        say("-- way %d", way);
        int done[2];
        if (pipe(done) != 0)
            die("pipe");
        int out = numbered(dup(1), 600);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            int directory = open(".", O_RDONLY | O_DIRECTORY);
            close(done[0]);
            if (way == 2) { // by hand
                if (fork() != 0)
                    _exit(0);
                setsid();
                if (fork() != 0)
                    _exit(0);
                closefrom(650);
            } else if (daemon(way, way) != 0)
                _exit(1);
            fchdir(directory);
            dup2(out, 1);
            step("daemon", one);
            look("daemon", two);
            int again = open("one", O_RDWR);
            warm(again);
            step("daemon", again);
            if (way == 1)
                EXEC_HELPER(WITH_SHIM, "steps", "7", "90", "1");
            end_child();
        }
        close(done[1]);
        wait_for(child);
        read(done[0], buffer, 1); // until nobody has the other end
        close(done[0]);
        close(out);
        step("after", one);
    }
    truth("one");
}

PROGRAM({"posix-spawn", by_posix_spawn}, {"shells", by_shells}, {"failed-exec", by_failed_exec},
        {"exec-among-threads", by_exec_among_threads}, {"fexecve", by_fexecve}, {"daemon", by_daemon})

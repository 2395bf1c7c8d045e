// A debugger and a tracer come and go while the program works.
#include <pthread.h>

#include "storm.h"

static int fd;
static volatile long wrong, turns;
static bool done;

static void *work(void *unused)
{
    unsigned char bytes[9000];
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        long at = turns * 4099 % (4 << 20);
        if (pread(fd, bytes, sizeof bytes, at) != sizeof bytes || bytes[8999] != pattern(1, at + 8999))
            wrong++;
        if (pwrite(fd, bytes, sizeof bytes, at) != sizeof bytes)
            wrong++;
        turns++;
    }
    return unused;
}

static bool mentions(const char *path, const char *text)
{
    static char bytes[1 << 20];
    int file = open(path, O_RDONLY);
    long count = read(file, bytes, sizeof bytes - 1);
    close(file);
    bytes[count > 0 ? count : 0] = 0;
    return strstr(bytes, text) != NULL;
}

// Runs a tool, given this process's id, and says how it ended, the program working on all the while.
static void attached(const char *label, const char *command)
{
    char line[512];
    snprintf(line, sizeof line, command, (int)getpid());
    long before = turns;
    int status = unshimmed((char *const[]){"/bin/sh", "-c", line, NULL});
    long at_end = turns;
    while (turns < at_end + 100 && wrong == 0)
        sched_yield();
    say("%s: status %d, went on %d", label, status, turns > before);
}

static void comes_and_leaves(void)
{
    fd = open_file("file", 1, O_RDWR);
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    for (int i = 0; i < 2; i++) {
        attached("gdb", "exec gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'thread apply all backtrace' "
                        "-ex detach -p %d > gdb-out 2> gdb-errors < /dev/null");
        // Walked through whatever call the thread was in.
        say("its stack was seen: %d %d", mentions("gdb-out", "in work"), mentions("gdb-out", "comes_and_leaves"));
        attached("strace", "timeout --signal=INT 0.3 strace -f -o strace-out -p %d 2> strace-errors; test $? = 124");
        say("calls were seen: %d", mentions("strace-out", "pwrite64") || mentions("strace-out", "pread64"));
    }
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    say("%ld wrong", wrong);
    truth("file");
}

PROGRAM({"comes-and-leaves", comes_and_leaves})

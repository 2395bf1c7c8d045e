// Limits of the process: file size, address space, number of mappings, locked memory. Set by itself, by another
// process, before it started, or reached.
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "transcript.h"

static unsigned char buffer[1 << 16];
static int fd;

// Calls all over the file, most of them servable.
static void calls(void)
{
    for (int i = 0; i < 4; i++) {
        long at = 700000l * i;
        say_origin("pread", buffer, CALL(pread(fd, buffer, 9000, at)), at);
        say_origin("pread", buffer, CALL(pread(fd, buffer, 9000, at + 9000)), at + 9000);
        fill(buffer, 1, at, 9000);
        CALL(pwrite(fd, buffer, 9000, at));
        CALL(pwrite(fd, buffer, 9000, at));
    }
}

// ---- RLIMIT_FSIZE ---------------------------------------------------------------------------------------------
static volatile sig_atomic_t exceeded;

static void count_signal(int number)
{
    (void)number;
    exceeded++;
}

#define PASSED(call)                                                                                                   \
    do {                                                                                                               \
        exceeded = 0;                                                                                                  \
        CALL(call);                                                                                                    \
        if (exceeded)                                                                                                  \
            say("  SIGXFSZ %d times", (int)exceeded);                                                                  \
    } while (0)

// Overwrites and extensions below, across, at and above a limit of 1 MiB.
static void limited_writes(void)
{
    struct iovec vector[] = {{buffer, 2048}, {buffer, 2048}};
    for (int i = 0; i < 3; i++) {
        PASSED(pwrite(fd, buffer, 4096, 8192));
        PASSED(pwrite(fd, buffer, 4096, (1 << 20) - 4096));
        PASSED(pwrite(fd, buffer, 4096, (1 << 20) - 1000));
        PASSED(pwrite(fd, buffer, 4096, 1 << 20));
        PASSED(pwrite(fd, buffer, 4096, 3 << 20));
        PASSED(pwritev(fd, vector, 2, (1 << 20) - 1000));
        PASSED(pwritev(fd, vector, 2, 3 << 20));
        lseek(fd, (1 << 20) - 5000, SEEK_SET);
        PASSED(write(fd, buffer, 4096));
        PASSED(write(fd, buffer, 4096));
        PASSED(write(fd, buffer, 4096));
        OFFSET(fd);
        PASSED(writev(fd, vector, 2));
        PASSED(pwrite(fd, buffer, 4096, FILE_SIZE));
        PASSED(ftruncate(fd, FILE_SIZE));
        PASSED(ftruncate(fd, FILE_SIZE + 1));
    }
    truth("file");
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    CALL(setrlimit(RLIMIT_FSIZE, &limit));
}

static void file_size_handled(void)
{
    fd = open_file("file", 1, O_RDWR);
    fill(buffer, 2, 0, sizeof buffer);
    signal(SIGXFSZ, count_signal);
    limited_writes();
    limit_file_size(1 << 20);
    limited_writes();
    limit_file_size(RLIM_INFINITY);
    limited_writes();
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(1 << 20);
    limited_writes();
}

static void file_size_blocked(void)
{
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = open_file("file", 1, O_RDWR);
    limit_file_size(1 << 20);
    CALL(pwrite(fd, buffer, 4096, 8192));
    sigpending(&pending);
    say("pending %d", sigismember(&pending, SIGXFSZ));
    CALL(pwrite(fd, buffer, 4096, 3 << 20));
    sigpending(&pending);
    say("pending %d", sigismember(&pending, SIGXFSZ));
    signal(SIGXFSZ, SIG_IGN);
    limited_writes();
}

// util-linux prlimit: another process, without the shim, sets a limit of ours.
static void limited_by_another(const char *argument)
{
    char process[40], *const command[] = {"/usr/bin/prlimit", process, (char *)argument, NULL};
    snprintf(process, sizeof process, "--pid=%d", (int)getpid());
    say("prlimit %s: %d", argument, unshimmed(command));
    usleep(12000); // what another process does to us holds from the next clock tick on
}

static void file_size_from_outside(void)
{
    fd = open_file("file", 1, O_RDWR);
    fill(buffer, 2, 0, sizeof buffer);
    signal(SIGXFSZ, count_signal);
    for (int i = 0; i < 3; i++) {
        limited_writes();
        limited_by_another("--fsize=1048576:");
        limited_writes();
        limited_by_another("--fsize=2097152:");
        limited_writes();
        limited_by_another("--fsize=unlimited:");
        limited_writes();
        usleep(5000 * i);
    }
    IN_CHILD({
        signal(SIGXFSZ, SIG_DFL);
        limited_by_another("--fsize=1048576:");
        CALL(pwrite(fd, buffer, 4096, 8192));
        CALL(pwrite(fd, buffer, 4096, 12288));
        fflush(stdout);
        CALL(pwrite(fd, buffer, 4096, 3 << 20));
    });
    truth("file");
}

// ---- address space --------------------------------------------------------------------------------------------
#define PIECES 400

static struct piece {
    void *address;
    size_t length;
} pieces[PIECES];

// Takes all address space that can be had, down to single pages.
static int take_all_address_space(void)
{
    int count = 0;
    for (size_t length = 1ul << 46; length >= PAGE && count < PIECES; length /= 2)
        for (; count < PIECES; count++) {
            void *address = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (address == MAP_FAILED)
                break;
            pieces[count] = (struct piece){address, length};
        }
    return count;
}

static void give_back(int count)
{
    while (count-- > 0)
        if (munmap(pieces[count].address, pieces[count].length) != 0)
            die("munmap");
}

static bool can_lock(const char *path)
{
    char *const command[] = {"/usr/bin/flock", "--exclusive", "--nonblock", (char *)path, "/bin/true", NULL};
    return unshimmed(command) == 0;
}

// With the address space or the number of mappings used up: what was served goes on, what is new is the kernel's, and
// a closed description is gone at once, locks and all.
static void while_nothing_can_be_mapped(void)
{
    say("more can be had: %d", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    calls();
    int first = fd;
    fd = OPEN(open("other", O_RDWR | O_CLOEXEC));
    calls();
    CALL(flock(first, LOCK_EX));
    CALL(close(first));
    say("its lock can be had: %d", can_lock("file"));
    fd = OPEN(open("file", O_RDWR | O_CLOEXEC));
    calls();
    int again = OPEN(open("file", O_RDONLY | O_CLOEXEC));
    CALL(flock(fd, LOCK_EX));
    CALL(close(fd));
    say("its lock can be had: %d", can_lock("file"));
    fd = again;
    say_origin("pread", buffer, CALL(pread(fd, buffer, 9000, 300000)), 300000);
    IN_CHILD({
        fd = OPEN(open("other", O_RDWR | O_CLOEXEC));
        calls();
    });
    CALL(close(fd));
    fd = OPEN(open("file", O_RDWR | O_CLOEXEC));
    calls();
}

static void prepare(void)
{
    make_file("other", 1, FILE_SIZE);
    fd = open_file("file", 1, O_RDWR);
    calls();
}

static void address_space_exhausted(void)
{
    prepare();
    for (int i = 0; i < 2; i++) {
        int count = take_all_address_space();
        while_nothing_can_be_mapped();
        give_back(count);
        calls();
    }
    truth("file");
    truth("other");
}

// One mapping per page: neighbours may not be joined.
static unsigned char *take_all_mappings(size_t *length)
{
    *length = 140000 * PAGE;
    unsigned char *pages = mmap(NULL, *length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        die("mmap");
    for (size_t at = PAGE; at < *length; at += 2 * PAGE)
        if (mprotect(pages + at, PAGE, PROT_READ) != 0)
            break;
    // The last one that is left.
    while (mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        ;
    return pages;
}

static void mappings_exhausted(void)
{
    prepare();
    size_t length;
    unsigned char *pages = take_all_mappings(&length);
    while_nothing_can_be_mapped();
    if (munmap(pages, length) != 0)
        die("munmap");
    calls();
    truth("file");
    truth("other");
}

static int over[2];

static void *waits(void *unused)
{
    char byte;
    (void)unused;
    return (void *)raw(SYS_read, over[0], (long)&byte, 1, 0, 0, 0);
}

// The same with a second thread, when a window may not simply be unmapped.
static void mappings_exhausted_with_threads(void)
{
    pthread_t thread;
    if (pipe(over) != 0 || pthread_create(&thread, NULL, waits, NULL) != 0)
        die("thread");
    mappings_exhausted();
    raw(SYS_write, over[1], (long)"", 1, 0, 0, 0);
    pthread_join(thread, NULL);
}

// ---- RLIMIT_AS ------------------------------------------------------------------------------------------------
static long most_memory(void)
{
    long low = 0, high = 1l << 40;
    while (high - low > PAGE) {
        long middle = (low + high) / 2 & -PAGE;
        void *address = mmap(NULL, (size_t)middle, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (address == MAP_FAILED) {
            high = middle;
        } else {
            munmap(address, (size_t)middle);
            low = middle;
        }
    }
    return low;
}

// What a program started under a limit can still have must be what it could have without the shim, but for the
// library itself: less than 2 MiB.
static void started_under_a_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    fd = OPEN(open("file", O_RDWR | O_CLOEXEC));
    calls();
    say("%ld of %ld MiB to be had", (most_memory() + (3l << 20)) >> 22 << 2, (long)limit.rlim_cur >> 20);
    struct rlimit lifted = {RLIM_INFINITY, RLIM_INFINITY};
    CALL(setrlimit(RLIMIT_AS, &lifted));
    calls();
}

static void address_space_limited_at_start(void)
{
    char program[PATH_MAX + 32];
    snprintf(program, sizeof program, "%s/faults-limits", programs_directory);
    make_file("file", 1, FILE_SIZE);
    static const rlim_t limits[] = {64l << 20, 100l << 20, 1l << 30, 1l << 36};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        IN_CHILD({
            struct rlimit limit;
            getrlimit(RLIMIT_AS, &limit);
            limit.rlim_cur = limits[i];
            CALL(setrlimit(RLIMIT_AS, &limit));
            fflush(stdout);
            CALL(execl(program, program, "started-under-a-limit", ".", NULL));
        });
    fd = open_file("file", 1, O_RDWR); // and one that is served, so that the run can show it
    calls();
    truth("file");
}

static void address_space_limited_from_outside(void)
{
    prepare();
    limited_by_another("--as=8589934592:");
    calls();
    fd = OPEN(open("other", O_RDWR | O_CLOEXEC));
    calls();
    say("7 GiB: %d", mmap(NULL, 7l << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    calls();
    limited_by_another("--as=unlimited:");
    calls();
}

// ---- locked memory --------------------------------------------------------------------------------------------
static long locked_kibibytes(void)
{
    static char text[8192];
    int status = open("/proc/self/status", O_RDONLY);
    ssize_t count = read(status, text, sizeof text - 1);
    close(status);
    text[count > 0 ? count : 0] = '\0';
    const char *line = strstr(text, "VmLck:");
    return line != NULL ? atol(line + 6) : -1;
}

static void memory_locked_on_fault(void)
{
    static const int flags[] = {MCL_CURRENT | MCL_ONFAULT, MCL_FUTURE | MCL_ONFAULT,
                                MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, MCL_ONFAULT, MCL_CURRENT, MCL_FUTURE};
    prepare();
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        CALL(mlockall(flags[i]));
        calls();
        int other = OPEN(open("other", O_RDWR | O_CLOEXEC));
        warm(other);
        CALL(close(other));
        // The file is 6 MiB: no window of it may be locked.
        say("less than 64 MiB locked: %d", locked_kibibytes() < 64 << 10);
        CALL(munlockall());
        calls();
        CALL(syscall(SYS_mlockall, flags[i]));
        calls();
        say("less than 64 MiB locked: %d", locked_kibibytes() < 64 << 10);
        CALL(syscall(SYS_munlockall));
        calls();
        say("%ld KiB locked", locked_kibibytes());
    }
    CALL(mlock(buffer, sizeof buffer));
    CALL(mlock2(buffer, 4096, MLOCK_ONFAULT));
    calls();
    CALL(munlock(buffer, sizeof buffer));
    truth("file");
}

static bool stop;

static void *reads(void *unused)
{
    static unsigned char bytes[9000];
    long strange = 0;
    (void)unused;
    for (long at = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); at = (at + 50021) % (FILE_SIZE - 9000)) {
        ssize_t count = pread(fd, bytes, sizeof bytes, at);
        strange += count != sizeof bytes || bytes[0] != pattern(1, at) || bytes[8999] != pattern(1, at + 8999);
    }
    return (void *)strange;
}

static void memory_locked_while_read(void)
{
    prepare();
    pthread_t thread;
    void *strange;
    if (pthread_create(&thread, NULL, reads, NULL) != 0)
        die("pthread_create");
    for (int i = 0; i < 20; i++) {
        CALL(mlockall(i % 2 ? MCL_CURRENT : MCL_CURRENT | MCL_FUTURE));
        usleep(500);
        CALL(munlockall());
        usleep(500);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, &strange);
    say("%ld strange reads", (long)strange);
}

PROGRAM({"file-size-handled", file_size_handled}, {"file-size-blocked", file_size_blocked},
        {"file-size-from-outside", file_size_from_outside}, {"address-space-exhausted", address_space_exhausted},
        {"mappings-exhausted", mappings_exhausted},
        {"mappings-exhausted-with-threads", mappings_exhausted_with_threads},
        {"started-under-a-limit", started_under_a_limit},
        {"address-space-limited-at-start", address_space_limited_at_start},
        {"address-space-limited-from-outside", address_space_limited_from_outside},
        {"memory-locked-on-fault", memory_locked_on_fault}, {"memory-locked-while-read", memory_locked_while_read})

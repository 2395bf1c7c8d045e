// A window pins nothing: what close() lets go of without the shim, it lets go of with it, at once. `read` and `write`
// serve the file first; then its descriptor is closed, and another process looks.
#include <signal.h>
#include <sys/file.h>
#include <sys/statfs.h>

#include "transcript.h"

static unsigned char buffer[65536];

// Opens and has it served, by reads and writes both, so that a window surely stands.
static int served(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die(path);
    warm(fd);
    fill(buffer, 1, 65536, sizeof buffer);
    if (pread(fd, buffer, sizeof buffer, 65536) != sizeof buffer)
        die("pread");
    return fd;
}

static bool lockable_by_flock(void)
{
    int fd = open("file", O_RDWR);
    bool free = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free;
}

// Asked by a child, with a description and a process of its own.
#define FREE_FOR_OTHERS(question)                                                                                      \
    do {                                                                                                               \
        fflush(stdout);                                                                                                \
        pid_t asking_ = fork();                                                                                        \
        if (asking_ == 0)                                                                                              \
            _exit(question ? 1 : 0);                                                                                   \
        int answer_;                                                                                                   \
        waitpid(asking_, &answer_, 0);                                                                                 \
        say(#question ": %d", WEXITSTATUS(answer_));                                                                   \
    } while (0)

static void flock_lock(void)
{
    make_file("file", 1, FILE_SIZE);
    for (int i = 0; i < 5; i++) {
        int fd = served("file");
        CALL(flock(fd, LOCK_EX));
        FREE_FOR_OTHERS(lockable_by_flock());
        CALL(pread(fd, buffer, 4096, 8192));
        CALL(close(fd));
        FREE_FOR_OTHERS(lockable_by_flock());
    }
    say("-- a second descriptor of the file is still open and served");
    int second = served("file");
    for (int i = 0; i < 5; i++) {
        int fd = served("file");
        CALL(flock(fd, LOCK_EX));
        CALL(close(fd));
        FREE_FOR_OTHERS(lockable_by_flock());
        say_origin("second", buffer, CALL(pread(second, buffer, 4096, 81920)), 81920);
        FREE_FOR_OTHERS(lockable_by_flock());
        CALL(flock(second, LOCK_EX));
        FREE_FOR_OTHERS(lockable_by_flock());
        CALL(flock(second, LOCK_UN));
    }
    say("-- the window came from the second, the lock is on the first");
    int first = open("file", O_RDWR);
    CALL(flock(first, LOCK_EX));
    CALL(pread(first, buffer, 4096, 8192));
    CALL(close(first));
    FREE_FOR_OTHERS(lockable_by_flock());
    say("-- the lock is on a duplicate, too");
    first = served("file");
    int copy = dup(first);
    CALL(flock(first, LOCK_EX));
    CALL(close(first));
    FREE_FOR_OTHERS(lockable_by_flock());
    CALL(pread(copy, buffer, 4096, 8192));
    CALL(close(copy));
    FREE_FOR_OTHERS(lockable_by_flock());
    say("-- closed by dup2, close_range, fclose, a killed child");
    first = served("file");
    CALL(flock(first, LOCK_EX));
    dup2(0, first);
    FREE_FOR_OTHERS(lockable_by_flock());
    close(first);
    first = served("file");
    CALL(flock(first, LOCK_EX));
    close_range((unsigned)first, (unsigned)first, 0);
    FREE_FOR_OTHERS(lockable_by_flock());
    FILE *stream = fdopen(served("file"), "r+");
    CALL(flock(fileno(stream), LOCK_EX));
    fclose(stream);
    FREE_FOR_OTHERS(lockable_by_flock());
    IN_CHILD({
        int mine = served("file");
        CALL(flock(mine, LOCK_EX));
        fflush(stdout);
        kill(getpid(), SIGKILL);
    });
    FREE_FOR_OTHERS(lockable_by_flock());
}

static bool lockable(int command)
{
    int fd = open("file", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 10};
    bool free = fcntl(fd, command, &lock) == 0;
    close(fd);
    return free;
}

static void open_description_lock(void)
{
    make_file("file", 1, FILE_SIZE);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1000};
    int second = -1;
    for (int i = 0; i < 6; i++) {
        int fd = served("file");
        CALL(fcntl(fd, F_OFD_SETLK, &lock));
        FREE_FOR_OTHERS(lockable(F_OFD_SETLK));
        CALL(pread(fd, buffer, 4096, 8192));
        CALL(close(fd));
        FREE_FOR_OTHERS(lockable(F_OFD_SETLK));
        if (i == 2)
            second = served("file"); // from now on there is one more
        if (second >= 0)
            CALL(pread(second, buffer, 4096, 8192));
    }
}

static void record_lock(void)
{
    make_file("file", 1, FILE_SIZE);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1000};
    int second = -1;
    for (int i = 0; i < 6; i++) {
        int fd = served("file");
        CALL(fcntl(fd, F_SETLK, &lock));
        FREE_FOR_OTHERS(lockable(F_SETLK));
        // Served calls must not lose the lock, as any private open and close of the file would.
        for (int j = 0; j < 200; j++)
            if (pread(fd, buffer, 4096, j * 4096) != 4096 || pwrite(fd, buffer, 4096, j * 4096) != 4096)
                say("short");
        FREE_FOR_OTHERS(lockable(F_SETLK));
        CALL(fsync(fd));
        CALL(ftruncate(fd, FILE_SIZE));
        FREE_FOR_OTHERS(lockable(F_SETLK));
        CALL(close(fd));
        FREE_FOR_OTHERS(lockable(F_SETLK));
        if (i == 2)
            second = served("file");
        if (second >= 0) {
            CALL(fcntl(second, F_SETLK, &lock));
            CALL(pread(second, buffer, 4096, 8192));
            FREE_FOR_OTHERS(lockable(F_SETLK));
        }
    }
    CALL(lockf(second, F_TEST, 10));
    CALL(lockf(second, F_ULOCK, 0));
    FREE_FOR_OTHERS(lockable(F_SETLK));
}

// A program that has been written can be executed as soon as it is closed.
static void text_file_busy(void)
{
    static char program[8 << 20];
    int from = open("/bin/true", O_RDONLY);
    long size = read(from, program, sizeof program);
    close(from);
    // Longer than two huge pages; what follows the program does no harm.
    long padded = 5 << 20;
    for (int i = 0; i < 6; i++) {
        CALL(unlink("program") * 0);
        int fd = open("program", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755), second = -1;
        if (write(fd, program, (size_t)padded) != padded)
            die("write");
        warm(fd);
        for (long at = 0; at < size; at += 4096)
            if (pwrite(fd, program + at, 4096, at) != 4096)
                die("pwrite");
        if (i >= 3) {
            second = open("program", O_RDONLY | O_CLOEXEC);
            warm(second);
        }
        IN_CHILD({
            execl("./program", "program", NULL);
            say("exec: %s", strerrorname_np(errno));
        });
        CALL(close(fd));
        IN_CHILD({
            execl("./program", "program", NULL);
            say("exec: %s", strerrorname_np(errno));
        });
        if (second >= 0) {
            CALL(pread(second, buffer, 4096, 8192));
            IN_CHILD({
                execl("./program", "program", NULL);
                say("exec: %s", strerrorname_np(errno));
            });
            CALL(close(second));
        }
    }
}

// A write lease is given only when nobody else has the file open; a read lease when nobody has it open for writing.
static void leases(void)
{
    make_file("file", 1, FILE_SIZE);
    for (int i = 0; i < 4; i++) {
        int fd = served("file");
        int asking = open("file", O_RDONLY | O_CLOEXEC);
        CALL(fcntl(asking, F_SETLEASE, F_RDLCK));
        CALL(close(fd));
        CALL(fcntl(asking, F_SETLEASE, F_RDLCK));
        CALL(fcntl(asking, F_GETLEASE));
        CALL(fcntl(asking, F_SETLEASE, F_UNLCK));
        CALL(fcntl(asking, F_SETLEASE, F_WRLCK));
        CALL(fcntl(asking, F_GETLEASE));
        CALL(fcntl(asking, F_SETLEASE, F_UNLCK));
        CALL(close(asking));
    }
    say("-- a second reader");
    for (int i = 0; i < 4; i++) {
        int second = open("file", O_RDONLY | O_CLOEXEC);
        warm(second);
        int fd = served("file");
        int asking = open("file", O_RDONLY | O_CLOEXEC);
        CALL(close(fd));
        CALL(fcntl(asking, F_SETLEASE, F_RDLCK));
        CALL(pread(second, buffer, 4096, 8192));
        CALL(fcntl(asking, F_SETLEASE, F_UNLCK));
        CALL(fcntl(asking, F_SETLEASE, F_WRLCK));
        CALL(close(second));
        CALL(fcntl(asking, F_SETLEASE, F_WRLCK));
        CALL(fcntl(asking, F_SETLEASE, F_UNLCK));
        CALL(close(asking));
    }
    say("-- on a served reader itself");
    int fd = open("file", O_RDONLY | O_CLOEXEC);
    warm(fd);
    CALL(fcntl(fd, F_SETLEASE, F_RDLCK));
    CALL(fcntl(fd, F_SETLEASE, F_UNLCK));
    CALL(fcntl(fd, F_SETLEASE, F_WRLCK));
    CALL(pread(fd, buffer, 4096, 8192));
    CALL(fcntl(fd, F_GETLEASE));
    CALL(fcntl(fd, F_SETLEASE, F_UNLCK));
    CALL(close(fd));
}

static int root;

static long used_mebibytes(void)
{
    struct statfs status;
    syncfs(root); // file systems that free late do it now
    if (fstatfs(root, &status) != 0)
        die("fstatfs");
    return (long)((status.f_blocks - status.f_bfree) * (unsigned long)status.f_bsize >> 20);
}

// An unlinked file's space is free again when its last descriptor is closed.
static void space_of_unlinked_files(void)
{
    root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long before = used_mebibytes();
    for (int i = 0; i < 4; i++) {
        make_file("file", 1, 4 * FILE_SIZE);
        int fd = served("file"), second = i >= 2 ? served("file") : -1;
        for (long at = 0; at + 65536 <= 4 * FILE_SIZE; at += 65536)
            if (pread(fd, buffer, sizeof buffer, at) != sizeof buffer)
                die("pread");
        say("used at least 24 MiB more: %d", used_mebibytes() - before >= 24);
        CALL(unlink("file"));
        say("used at least 24 MiB more: %d", used_mebibytes() - before >= 24);
        CALL(close(fd));
        say("used at least 24 MiB more: %d", used_mebibytes() - before >= 24);
        if (second >= 0) {
            say_origin("second", buffer, CALL(pread(second, buffer, 4096, 81920)), 81920);
            CALL(close(second));
            say("used at least 24 MiB more: %d", used_mebibytes() - before >= 24);
        }
    }
    say("-- replaced by rename");
    make_file("file", 1, 4 * FILE_SIZE);
    int fd = served("file");
    make_file("new", 2, 100);
    CALL(rename("new", "file"));
    say("used at least 24 MiB more: %d", used_mebibytes() - before >= 24);
    CALL(close(fd));
    say("used at least 24 MiB more: %d", used_mebibytes() - before >= 24);
    say("-- truncated while open");
    make_file("file", 1, 4 * FILE_SIZE);
    fd = served("file");
    CALL(ftruncate(fd, 0));
    say("used at least 24 MiB more: %d", used_mebibytes() - before >= 24);
    CALL(close(fd));
}

// The file system can be unmounted when the last descriptor is closed: no mapping of ours keeps it busy.
static void mappings_left_behind(void)
{
    char line[512];
    make_file("file", 1, FILE_SIZE);
    int fd = served("file");
    CALL(close(fd));
    int left = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL)
        left += strstr(line, "/file") != NULL;
    fclose(maps);
    say("mappings of the file left: %d", left);
}

PROGRAM({"flock", flock_lock}, {"open-description-lock", open_description_lock}, {"record-lock", record_lock},
        {"text-file-busy", text_file_busy}, {"leases", leases}, {"space-of-unlinked-files", space_of_unlinked_files},
        {"mappings-left-behind", mappings_left_behind})

// Opens, closes, duplicates and replaces some numbers at random, in every way that can be seen, and knows at every
// moment which file each number means: a byte of any other, or an answer for a closed number, is a failure. With
// children that do the same on what they inherit.

#include "process.h"

enum { FILES = 6, NUMBERS = 12, FIRST = 40, CLOSED = -1 };

static int meaning[NUMBERS]; // the file each number means, or CLOSED
static int access_of[NUMBERS]; // O_RDONLY, O_WRONLY or O_RDWR
static FILE *streams[NUMBERS];
static uint64_t state;
static long calls, failures;
static char names[FILES][8];
static int sockets[2];
static bool hidden; // opens and closes with the bare instruction: what no preload sees

static unsigned chance(unsigned below)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33) % below;
}

static void failed(const char *what, int i, long detail)
{
    if (failures++ < 5)
        say("FAILURE after %ld calls: %s, file %d, %ld", calls, what, meaning[i], detail);
}

// ---- data ---------------------------------------------------------------------------------------------------------
static void check(int i)
{
    static unsigned char bytes[8192];
    int fd = FIRST + i;
    long count = 600 + chance(7000), at = chance(FILE_SIZE - 8192), got;
    struct iovec parts[2] = {{bytes, 500}, {bytes + 500, (size_t)count - 500}};
    unsigned kind = chance(6);
    bool refused = meaning[i] == CLOSED || access_of[i] == (kind == 3 ? O_RDONLY : O_WRONLY);
    calls++;
    switch (kind) {
    case 0:
        lseek(fd, at, SEEK_SET);
        got = read(fd, bytes, (size_t)count);
        break;
    case 1: got = preadv(fd, parts, 2, at); break;
    case 2: got = syscall(SYS_pread64, fd, bytes, count, at); break;
    case 3:
        if (meaning[i] != CLOSED)
            fill(bytes, meaning[i], at, count);
        got = pwrite(fd, bytes, (size_t)count, at);
        break;
    default: got = pread(fd, bytes, (size_t)count, at);
    }
    if (refused ? got != -1 || errno != EBADF : got != count)
        return failed("result", i, got);
    for (long k = 0; k < got; k++)
        if (bytes[k] != pattern(meaning[i], at + k))
            return failed("byte", i, at + k);
}

// ---- opening and closing --------------------------------------------------------------------------------------------
static void close_number(int i)
{
    int fd = FIRST + i;
    if (hidden && streams[i] == NULL) {
        raw(SYS_close, fd, 0, 0, 0, 0, 0);
    } else if (streams[i] != NULL) {
        fclose(streams[i]);
        streams[i] = NULL;
    } else {
        switch (chance(8)) {
        case 0: close_range((unsigned)fd, (unsigned)fd, 0); break;
        case 1: syscall(SYS_close, fd); break;
        case 2: fclose(fdopen(fd, "r+")); break;
        case 3:
            dup2(0, fd);
            close(fd);
            break;
        case 4: raw(SYS_close, fd, 0, 0, 0, 0, 0); // and a call that can be seen returns the number
            if (fcntl(0, F_DUPFD, fd) != fd)
                die("F_DUPFD");
            close(fd);
            break;
        case 5: syscall(SYS_close_range, fd, fd, 0); break;
        default: close(fd);
        }
    }
    meaning[i] = CLOSED;
}

static int opened(int file, int access)
{
    if (hidden)
        return (int)raw(SYS_openat, AT_FDCWD, (long)names[file], access, 0, 0, 0);
    switch (chance(5)) {
    case 0: return (int)syscall(SYS_openat, AT_FDCWD, names[file], O_RDWR, 0);
    case 1: {
        int first = open(names[file], O_RDWR), second = -1;
        send_descriptors(sockets[0], &first, 1);
        if (receive_descriptors(sockets[1], &second, 1, 0) != 1)
            die("nothing received");
        close(first);
        return second;
    }
    case 2: {
        char path[32];
        int first = open(names[file], O_RDONLY);
        snprintf(path, sizeof path, "/proc/self/fd/%d", first);
        int second = open(path, O_RDWR);
        close(first);
        return second;
    }
    default: return open(names[file], O_RDWR);
    }
}

static void open_number(int i)
{
    static const int modes[] = {O_RDWR, O_RDONLY, O_WRONLY};
    // Often the same file, in another mode.
    int file = meaning[i] != CLOSED && chance(3) == 0 ? meaning[i] : (int)chance(FILES), fd = FIRST + i;
    int access = hidden ? modes[chance(3)] : O_RDWR, from = opened(file, access);
    bool was_open = meaning[i] != CLOSED;
    if (hidden)
        raw(SYS_dup2, from, fd, 0, 0, 0, 0);
    else
        switch (was_open ? chance(3) : chance(4)) {
        case 0: dup2(from, fd); break;
        case 1: dup3(from, fd, O_CLOEXEC); break;
        case 2: syscall(SYS_dup3, from, fd, 0); break;
        default:
            if (fcntl(from, F_DUPFD, fd) != fd)
                die("F_DUPFD");
        }
    close(from);
    meaning[i] = file;
    access_of[i] = access;
    if (streams[i] == NULL && access == O_RDWR && chance(4) == 0)
        streams[i] = fdopen(fd, "r+");
}

static void copy_number(int i, int j)
{
    if (meaning[j] == CLOSED || i == j)
        return;
    dup2(FIRST + j, FIRST + i);
    meaning[i] = meaning[j];
    access_of[i] = access_of[j];
}

static void children(int depth);

static void storm(int rounds, int depth)
{
    for (int k = 0; k < rounds; k++) {
        int i = (int)chance(NUMBERS);
        switch (chance(24)) {
        case 0:
        case 1:
            if (meaning[i] != CLOSED)
                close_number(i);
            break;
        case 2:
        case 3: open_number(i); break;
        case 4: copy_number(i, (int)chance(NUMBERS)); break;
        case 5:
            if (depth > 0 && chance(20) == 0)
                children(depth - 1);
            break;
        case 6:
            if (streams[i] != NULL) { // another file in the same stream
                int file = (int)chance(FILES);
                streams[i] = freopen(names[file], "r+", streams[i]);
                if (streams[i] == NULL || fileno(streams[i]) != FIRST + i)
                    die("freopen");
                meaning[i] = file;
                access_of[i] = O_RDWR;
            }
            break;
        default: check(i);
        }
    }
    for (int i = 0; i < NUMBERS; i++)
        check(i);
}

// What a child does to its numbers is its own; what it does in our memory (vfork) may only be forgotten.
static void children(int depth)
{
    int kind = (int)chance(3), i = (int)chance(NUMBERS), j = (int)chance(NUMBERS);
    fflush(stdout);
    pid_t child;
    if (kind < 2) {
        child = kind ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
        if (child == 0) {
            long before = failures;
            storm(400, depth);
            fflush(stdout);
            _exit(failures != before);
        }
    } else {
        child = vfork();
        if (child == 0) {
            char byte;
            close(FIRST + i);
            dup2(FIRST + j, FIRST + i);
            pread(FIRST + i, &byte, 1, 0);
            close(FIRST + j);
            _exit(0);
        }
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        failed("child", i, status);
}

static void run(int rounds, int depth)
{
    const char *seed = getenv("STORM_SEED"), *longer = getenv("STORM_ROUNDS");
    state = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        make_file(names[i], i, FILE_SIZE);
    }
    for (int i = 0; i < NUMBERS; i++)
        meaning[i] = CLOSED;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
        die("socketpair");
    storm(longer != NULL ? atoi(longer) : rounds, depth);
    for (int i = 0; i < FILES; i++)
        truth(names[i]);
    say("%ld calls, %ld failures", calls, failures);
}

static void alone(void) { run(15000, 0); }
static void with_children(void) { run(8000, 2); }
static void in_hiding(void)
{
    hidden = true;
    run(8000, 0);
}

PROGRAM({"alone", alone}, {"with-children", with_children}, {"in-hiding", in_hiding})

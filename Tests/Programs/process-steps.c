// A fork at every single instruction of a served call, by a handler that interrupts it there: the child returns into
// the call, with an engine that knows nothing, and must see what it would natively: the bytes, and an offset that moved
// once for each of the two or once for both. One call is stepped through (EFLAGS.TF), to learn its instructions; then
// each of them in turn is a breakpoint, as stepping takes longer than a clock tick.
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>

#include "process.h"

enum { TRAP_FLAG = 0x100, BREAKPOINT = 0xcc, LENGTH = 4096, AT = 600000, MOST = 8000 };

static volatile sig_atomic_t is_child, is_stepping, has_forked;
static volatile int status_of_child;
static uintptr_t places[MOST]; // the instructions of a call, each once
static volatile long place_count;
static unsigned char *planted, instead_of;
static int fd;
static unsigned char right[2 * LENGTH];

static void remember(uintptr_t place)
{
    for (long i = 0; i < place_count; i++)
        if (places[i] == place)
            return;
    if (place_count < MOST)
        places[place_count++] = place;
}

// False: what is there cannot be changed, as in the vDSO.
static bool write_code(unsigned char *at, unsigned char byte)
{
    void *page = (void *)((uintptr_t)at & ~4095ul);
    if (raw(SYS_mprotect, (long)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0) != 0)
        return false;
    *(volatile unsigned char *)at = byte;
    return raw(SYS_mprotect, (long)page, 4096, PROT_READ | PROT_EXEC, 0, 0, 0) == 0;
}

static void trapped(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (planted == NULL) {
        if (is_stepping)
            remember((uintptr_t)registers[REG_RIP]);
        else
            registers[REG_EFL] &= ~TRAP_FLAG;
        return;
    }
    int saved = errno;
    write_code(planted, instead_of); // before anything that may come along there
    registers[REG_RIP] = (greg_t)(uintptr_t)planted;
    planted = NULL, has_forked = 1;
    pid_t child = _Fork();
    if (child == 0) {
        is_child = 1;
        // What it maps must not come to lie where its parent had something.
        for (int i = 0; i < 4; i++)
            mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    } else {
        int status = -1;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        status_of_child = status;
    }
    errno = saved;
}

static struct iovec two_parts[2] = {{buffer, 1000}, {buffer + 1000, LENGTH - 1000}};

static long short_pread(void) { return pread(fd, buffer, 64, AT); }
static long long_pread(void) { return pread(fd, buffer, LENGTH, AT); }
static long by_preadv(void) { return preadv(fd, two_parts, 2, AT); }
static long by_read(void) { return read(fd, buffer, LENGTH); }
static long by_readv(void) { return readv(fd, two_parts, 2); }
static long short_pwrite(void) { return pwrite(fd, right, 8, AT); }
static long long_pwrite(void) { return pwrite(fd, right, LENGTH, AT); }
static long by_pwritev(void)
{
    struct iovec from[2] = {{right, 1000}, {right + 1000, LENGTH - 1000}};
    return pwritev(fd, from, 2, AT);
}
static long by_write(void) { return write(fd, right, LENGTH); }

static const struct way {
    const char *name;
    long (*call)(void);
    long length;
    bool moves, writes;
} ways[] = {{"pread of 64", short_pread, 64, false, false},    {"pread", long_pread, LENGTH, false, false},
            {"preadv", by_preadv, LENGTH, false, false},       {"read", by_read, LENGTH, true, false},
            {"readv", by_readv, LENGTH, true, false},          {"pwrite of 8", short_pwrite, 8, false, true},
            {"pwrite", long_pwrite, LENGTH, false, true},      {"pwritev", by_pwritev, LENGTH, false, true},
            {"write", by_write, LENGTH, true, true}};

// Which part of the file a call got: 0 what is at AT, 1 what is behind it; 2 is neither, or the call has failed.
static int part(const struct way *way, long result)
{
    if (result != way->length)
        return 2;
    if (way->writes)
        return 0;
    return memcmp(buffer, right, (size_t)result) == 0                                ? 0
           : way->moves && memcmp(buffer, right + LENGTH, (size_t)result) == 0 ? 1
                                                                                     : 2;
}

// The calls before are what the engine serves the next one after: for a write, in the kernel's tick.
static void prepare(const struct way *way)
{
    for (int i = 0; i < 4; i++) {
        lseek(fd, AT, SEEK_SET);
        way->call();
    }
    lseek(fd, AT, SEEK_SET);
    memset(buffer, 0, LENGTH);
}

// Adds a call's instructions. It begins with a tick, so that a write comes to where it is decided while that lasts.
static void find_places(const struct way *way)
{
    struct timespec before, now;
    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    do
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_nsec == before.tv_nsec);
    prepare(way);
    is_stepping = 1;
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
    way->call();
    is_stepping = 0; // the next trap ends it
    __asm__ volatile("nop" ::: "memory");
}

static bool is_as_natively(const struct way *way, int got, int childs, long moved)
{
    if (!way->moves)
        return childs == 0 && got == 0 && moved == 0;
    bool together = childs == 0 && got == 0 && moved == LENGTH;
    bool apart = childs == 0 && got == (way->writes ? 0 : 1) && moved == 2 * LENGTH;
    return together || apart;
}

static void at_every_instruction(const struct way *way)
{
    long forks = 0, died = 0, wrong = 0;
    place_count = 0;
    for (int i = 0; i < 4; i++)
        find_places(way);
    for (long i = 0; i < place_count; i++) {
        prepare(way);
        unsigned char *place = (unsigned char *)places[i];
        instead_of = *place, has_forked = 0, status_of_child = -1;
        if (!write_code(place, BREAKPOINT))
            continue;
        planted = place;
        long result = way->call();
        int got = part(way, result);
        if (is_child) { // once more, with what it knows now
            bool fine = got < 2 && pread(fd, buffer, LENGTH, AT) == LENGTH && memcmp(buffer, right, LENGTH) == 0;
            raw(SYS_exit_group, fine ? got : 2, 0, 0, 0, 0, 0);
        }
        if (planted != NULL) // not on this call's way
            write_code(place, instead_of);
        planted = NULL;
        if (!has_forked)
            continue;
        forks++;
        int status = status_of_child;
        long moved = raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0) - AT;
        died += !WIFEXITED(status);
        wrong += WIFEXITED(status) && !is_as_natively(way, got, WEXITSTATUS(status), moved);
        if (way->moves && way->writes) // of two writes the second has the first one's bytes
            raw(SYS_pwrite64, fd, (long)right, 2 * LENGTH, AT, 0, 0);
    }
    say("%s: forked at its instructions: %d, %ld children died, %ld were wrong", way->name,
        forks > 4, died, wrong);
}

static void at_every_instruction_of(bool writes)
{
    fd = open_file("file", 1, O_RDWR);
    fill(right, 1, AT, sizeof right);
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (ways[i].writes == writes)
            at_every_instruction(&ways[i]);
    truth("file");
}

static void reads(void) { at_every_instruction_of(false); }
static void writes(void) { at_every_instruction_of(true); }

PROGRAM({"reads", reads}, {"writes", writes})

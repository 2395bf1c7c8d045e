// How much of the caller's stack a call takes: the stack below it is painted, and looked at afterwards.
//
// A line is `served|what|bytes|result` where the call has been made often enough to be served, else `slow|...`.
// Compared with the same run without the shim, where libc's wrapper takes 8 to 700 bytes. Signal frames of faults are
// not among them: the kernel puts them on the alternate stack that is set.
#include "transcript.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>

// Calls function(argument[0] ... argument[5]), puts its result into argument[6], and returns how many bytes below the
// call have been written to. 64 KiB are painted.
long depth_of(void *function, long argument[7]);
__asm__(".text\n"
        "depth_of:\n"
        "\tpushq %rbx\n\tpushq %rbp\n\tpushq %r12\n"
        "\tmovq %rdi, %rbx\n\tmovq %rsi, %rbp\n"
        "\tleaq -65536(%rsp), %rdi\n\tmovl $8192, %ecx\n\tmovabsq $0x5a5a5a5a5a5a5a5a, %rax\n\trep stosq\n"
        "\tmovq (%rbp), %rdi\n\tmovq 8(%rbp), %rsi\n\tmovq 16(%rbp), %rdx\n"
        "\tmovq 24(%rbp), %rcx\n\tmovq 32(%rbp), %r8\n\tmovq 40(%rbp), %r9\n\txorl %eax, %eax\n"
        "\tcall *%rbx\n\tmovq %rax, 48(%rbp)\n"
        "\tleaq -65536(%rsp), %rdi\n\tmovl $8192, %ecx\n\tmovabsq $0x5a5a5a5a5a5a5a5a, %rax\n\trepe scasq\n"
        "\tleaq -8(%rdi), %rdi\n\tmovq %rsp, %rax\n\tsubq %rdi, %rax\n"
        "\tpopq %r12\n\tpopq %rbp\n\tpopq %rbx\n\tret\n");

static int fd;
static unsigned char buffer[1 << 16];
static const char *kind;

static void measure(const char *what, void *function, const long given[6])
{
    long argument[7] = {given[0], given[1], given[2], given[3], given[4], given[5], 0};
    fflush(stdout);
    errno = 0;
    long bytes = depth_of(function, argument);
    long result = (int)argument[6];
    say("%s|%s|%ld|%ld %s", kind, what, bytes, result, result < 0 ? strerrorname_np(errno) : "");
}

#define CALL_OF(function, ...) measure(#function " " #__VA_ARGS__, (void *)function, (const long[6]){__VA_ARGS__})
// For calls that return a number: not said.
#define OPEN_OF(function, ...)                                                                                         \
    do {                                                                                                               \
        long argument_[7] = {__VA_ARGS__};                                                                             \
        long bytes_ = depth_of((void *)function, argument_);                                                           \
        say("%s|%s|%ld|", kind, #function " " #__VA_ARGS__, bytes_);                                                   \
    } while (0)

static struct iovec parts[32];

static void hot(int number)
{
    for (int i = 0; i < 64; i++) {
        pread(number, buffer, 4096, i * 16384l);
        pwrite(number, buffer, 4096, i * 16384l);
    }
}

static void served(void)
{
    const long at = (long)buffer, vector = (long)parts;
    hot(fd);
    lseek(fd, 0, SEEK_SET);
    for (int i = 0; i < 8; i++) {
        // Reads after a write, and writes in a new tick, are the kernel's once: only the second of two counts.
        kind = i % 2 ? "served" : "slow";
        CALL_OF(pread, fd, at, 4096, 8192);
        CALL_OF(pread, fd, at, 64, 8192);
    }
    for (int i = 0; i < 8; i++) {
        kind = i % 2 ? "served" : "slow";
        CALL_OF(read, fd, at, 4096);
    }
    for (int i = 0; i < 8; i++) {
        kind = i % 2 ? "served" : "slow";
        CALL_OF(preadv, fd, vector, 32, 4096);
        CALL_OF(preadv2, fd, vector, 3, 4096, 0);
    }
    for (int i = 0; i < 8; i++) {
        kind = i % 2 ? "served" : "slow";
        CALL_OF(readv, fd, vector, 32);
    }
    for (int i = 0; i < 8; i++) {
        kind = "slow"; // the tick may end between any two
        CALL_OF(pwrite, fd, at, 4096, 8192);
        CALL_OF(pwrite, fd, at, 64, 8192);
        CALL_OF(pwritev, fd, vector, 32, 8192);
        CALL_OF(writev, fd, vector, 32);
        CALL_OF(write, fd, at, 4096);
    }
}

// Writes of one kind until some have been served: the least of many is a served one's (a kernel's takes more).
static void served_writes(void)
{
    const long at = (long)buffer, vector = (long)parts;
    static const char *const names[] = {"pwrite 4096", "pwrite 64", "pwritev 32 parts", "writev 32 parts",
                                        "write 4096"};
    void *const functions[] = {(void *)pwrite, (void *)pwrite, (void *)pwritev, (void *)writev, (void *)write};
    const long arguments[][6] = {{fd, at, 4096, 8192}, {fd, at, 64, 8192}, {fd, vector, 32, 8192}, {fd, vector, 32},
                                 {fd, at, 4096}};
    hot(fd);
    lseek(fd, 0, SEEK_SET);
    for (int i = 0; i < 5; i++) {
        long usual[64], moved = 0;
        for (int k = 0; k < 64; k++) {
            long argument[7];
            memcpy(argument, arguments[i], sizeof arguments[i]);
            usual[k] = depth_of(functions[i], argument);
            moved += argument[6];
        }
        // What most of them take: a tick is thousands of calls long.
        long most = 0, value = 0;
        for (int k = 0; k < 64; k++) {
            long same = 0;
            for (int j = 0; j < 64; j++)
                same += usual[j] == usual[k];
            if (same > most)
                most = same, value = usual[k];
        }
        say("served|%s|%ld|%ld", names[i], value, moved);
    }
}

static void cut(long size)
{
    long child = raw(SYS_fork, 0, 0, 0, 0, 0, 0);
    if (child == 0) {
        raw(SYS_truncate, (long)"file", size, 0, 0, 0, 0);
        raw(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    }
    raw(SYS_wait4, child, 0, 0, 0, 0, 0);
}

static void handler(int number) { (void)number; }

static void steps(void)
{
    const long at = (long)buffer, vector = (long)parts;
    kind = "slow";
    CALL_OF(pread, fd, at, 4096, 0);
    CALL_OF(pread, fd, at, 4096, 4096);
    CALL_OF(read, fd, at, 4096);
    CALL_OF(write, fd, at, 4096);
    CALL_OF(pwrite, fd, at, 4096, 0);
    CALL_OF(pwrite, fd, at, 100, 0);
    CALL_OF(readv, fd, vector, 32);
    hot(fd);
    CALL_OF(pread, fd, 8, 4096, 8192);
    CALL_OF(pwrite, fd, 8, 4096, 8192);
    CALL_OF(read, fd, 8, 4096);
    CALL_OF(write, fd, 8, 4096);
    CALL_OF(preadv, fd, 8, 4, 8192);
    CALL_OF(pwritev, fd, 8, 4, 8192);
    CALL_OF(pread, fd, at, 4096, FILE_SIZE - 100);
    CALL_OF(pwrite, fd, at, 4096, FILE_SIZE);
    CALL_OF(pread, fd, at, 4096, FILE_SIZE - 4096);
    CALL_OF(fsync, fd);
    CALL_OF(fdatasync, fd);
    CALL_OF(sync_file_range, fd, 0, 4096, 2);
    OPEN_OF(open, (long)"file", O_RDWR);
    int other = open("file", O_RDWR), third = open("file", O_RDWR);
    pread(other, buffer, 4096, 0);
    CALL_OF(dup2, other, third);
    pread(fd, buffer, 4096, 0);
    OPEN_OF(dup2, other, fd); // a window moves to another descriptor
    CALL_OF(pread, fd, at, 4096, 8192);
    const long punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    CALL_OF(fallocate, fd, punch, 8192, 65536);
    CALL_OF(pread, fd, at, 4096, 16384);
    CALL_OF(pread, fd, at, 4096, 163840);
    CALL_OF(ftruncate, fd, 4 << 20);
    CALL_OF(truncate, (long)"file", 3 << 20);
    CALL_OF(pread, fd, at, 4096, 4096);
    hot(fd);
    cut(1 << 20);
    CALL_OF(pread, fd, at, 4096, 2 << 20);
    hot(fd);
    cut(2 << 20);
    CALL_OF(read, fd, at, 4096);
    CALL_OF(syscall, SYS_pread64, fd, at, 4096, 8192);
    CALL_OF(syscall, SYS_preadv, fd, vector, 32, 0);
    int ends[2];
    CALL_OF(pipe, (long)ends);
    CALL_OF(fcntl, fd, F_SETFL, O_APPEND);
    CALL_OF(close, fd);
    CALL_OF(close_range, 3, 100, 0);

    sigset_t set;
    sigfillset(&set);
    struct sigaction action = {.sa_handler = handler}, old;
    struct timespec none = {0};
    uint64_t mask = ~0ull, former;
    fd = open("file", O_RDWR);
    hot(fd);
    CALL_OF(sigaction, SIGUSR1, (long)&action, (long)&old);
    CALL_OF(sigaction, SIGBUS, (long)&action, (long)&old);
    CALL_OF(sigprocmask, SIG_BLOCK, (long)&set, (long)&set);
    CALL_OF(ppoll, 0, 0, (long)&none, (long)&set);
    CALL_OF(sigtimedwait, (long)&set, 0, (long)&none);
    CALL_OF(syscall, SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, (long)&former, 8);
    CALL_OF(syscall, SYS_ppoll, 0, 0, (long)&none, (long)&mask, 8);
    CALL_OF(mlockall, MCL_CURRENT);
}

static void *nothing(void *unused) { return unused; }

static void begin(bool threads)
{
    static char room[65536 * 2];
    stack_t alternate = {.ss_sp = room, .ss_size = sizeof room};
    sigaltstack(&alternate, NULL);
    signal(SIGUSR2, handler);
    pthread_t thread;
    if (threads && pthread_create(&thread, NULL, nothing, NULL) == 0)
        pthread_join(thread, NULL);
    make_file("file", 1, FILE_SIZE);
    for (int i = 0; i < 32; i++)
        parts[i] = (struct iovec){buffer + i * 128, 128};
    fd = open("file", O_RDWR);
}

static void served_alone(void) { begin(false), served(), served_writes(); }
static void served_in_threads(void) { begin(true), served(), served_writes(); }
static void steps_alone(void) { begin(false), steps(); }
static void steps_in_threads(void) { begin(true), steps(); }

// ---- handlers on alternate stacks of all sizes ----

static void work(void)
{
    static unsigned char bytes[4096];
    int number = open("file", O_RDWR);
    long sum = 0;
    for (int i = 0; i < 40; i++)
        sum += pread(number, bytes, 4096, i * 4096) + pwrite(number, bytes, 4096, i * 4096);
    sum += pread(number, (char *)8, 4096, 0) + pwrite(number, (char *)8, 4096, 0);
    sum += readv(number, parts, 32) + writev(number, parts, 32) + read(number, bytes, 4096);
    cut(1 << 20);
    sum += pread(number, bytes, 4096, 2 << 20) + pread(number, bytes, 4096, (1 << 20) - 100);
    cut(FILE_SIZE);
    close(number);
    char text[32] = "  sum ";
    int length = 6;
    for (long value = sum, k = 100000000; k; value %= k, k /= 10)
        text[length++] = (char)('0' + value / k);
    text[length++] = '\n';
    (void)!write(1, text, (size_t)length);
}

static void handler_that_works(int number)
{
    (void)number;
    work();
}

static void on_stack_of(size_t size, bool warmed)
{
    size_t whole = (size + 4095) & ~4095ul;
    char *room = mmap(NULL, whole + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(room, 4096, PROT_NONE);
    stack_t alternate = {.ss_sp = room + 4096 + whole - size, .ss_size = size};
    struct sigaction action = {.sa_handler = handler_that_works, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    if (warmed)
        hot(fd);
    if (sigaltstack(&alternate, NULL) != 0)
        die("sigaltstack");
    raise(SIGUSR1);
    work();
    raise(SIGUSR1);
    alternate.ss_flags = SS_DISABLE;
    if (sigaltstack(&alternate, NULL) != 0)
        die("sigaltstack");
    work();
    if (warmed)
        hot(fd);
}

static void small_stacks(void)
{
    make_file("file", 1, FILE_SIZE);
    for (int i = 0; i < 32; i++)
        parts[i] = (struct iovec){buffer + i * 128, 128};
    fd = open("file", O_RDWR | O_CLOEXEC);
    size_t least = getauxval(AT_MINSIGSTKSZ);
    for (size_t more = 1024; more <= 16384; more += more < 4096 ? 512 : 1024) {
        say("%zu more than the least", more);
        IN_CHILD(on_stack_of(least + more, false));
        make_file("file", 1, FILE_SIZE); // without the hole that the cut has left
        IN_CHILD(on_stack_of(least + more, true));
        make_file("file", 1, FILE_SIZE);
    }
}

static void *works(void *unused)
{
    work();
    return unused;
}

static void small_threads(void)
{
    make_file("file", 1, FILE_SIZE);
    for (int i = 0; i < 32; i++)
        parts[i] = (struct iovec){buffer + i * 128, 128};
    fd = open("file", O_RDWR | O_CLOEXEC);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN));
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        CALL(pthread_create(&thread, &attributes, works, NULL));
        pthread_join(thread, NULL);
        make_file("file", 1, FILE_SIZE);
        hot(fd);
    }
}

PROGRAM({"served-alone", served_alone}, {"served-in-threads", served_in_threads}, {"steps-alone", steps_alone},
        {"steps-in-threads", steps_in_threads}, {"small-stacks", small_stacks}, {"small-threads", small_threads})

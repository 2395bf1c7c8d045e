// One program with the shim and one without on the same file at the same time: bytes are there at once, both ways, for
// calls and for mappings. The one without is this program too, executed anew as `coherence-bytes peer DIRECTORY`.
#include <sched.h>
#include <signal.h>

#include "transcript.h"

// Where things lie. All blocks are large enough to be served, and none lies in the last page.
enum { BLOCK = 8192, ROUNDS = 400 };
#define TO_PEER 0l
#define FROM_PEER (1l << 20)
#define DATA 65536l

static unsigned char block[BLOCK], expected[BLOCK];
static unsigned char *map;
static int fd;

static void fill_round(unsigned char *bytes, int round, long at)
{
    for (long i = 0; i < BLOCK; i += 8) {
        uint64_t word = (uint64_t)round << 32 | (uint64_t)(at + i);
        memcpy(bytes + i, &word, 8);
    }
}

static int round_in(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, 8);
    return (int)(word >> 32);
}

// Data first, then the flag that says it is there: who sees the flag must see the data.
static void send_round(int round, long at, bool mapped)
{
    fill_round(block, round, at + DATA + (round % 8) * BLOCK);
    if (mapped) {
        memcpy(map + at + DATA + (round % 8) * BLOCK, block, BLOCK);
        __atomic_store_n((uint64_t *)(map + at), (uint64_t)round << 32 | (uint64_t)at, __ATOMIC_RELEASE);
        return;
    }
    if (pwrite(fd, block, BLOCK, at + DATA + (round % 8) * BLOCK) != BLOCK)
        die("pwrite");
    fill_round(block, round, at);
    if (round % 2 ? pwrite(fd, block, BLOCK, at) != BLOCK
                  : lseek(fd, at, SEEK_SET) < 0 || write(fd, block, BLOCK) != BLOCK)
        die("pwrite");
}

// Whether the data behind the flag of that round was the round's.
static bool receive_round(int round, long at, bool mapped)
{
    long data = at + DATA + (round % 8) * BLOCK;
    for (int i = 0;; i++) {
        if (mapped) {
            if (__atomic_load_n((uint64_t *)(map + at), __ATOMIC_ACQUIRE) >> 32 == (uint64_t)round)
                break;
        } else {
            if (pread(fd, block, 512, at) != 512)
                die("pread");
            if (round_in(block) == round)
                break;
        }
        sched_yield();
    }
    fill_round(expected, round, data);
    if (mapped)
        memcpy(block, map + data, BLOCK);
    else if (round % 2 ? pread(fd, block, BLOCK, data) != BLOCK
                       : lseek(fd, data, SEEK_SET) < 0 || read(fd, block, BLOCK) != BLOCK)
        die("pread");
    return memcmp(block, expected, BLOCK) == 0;
}

static void open_and_map(void)
{
    fd = open("file", O_RDWR | O_CLOEXEC);
    map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || map == MAP_FAILED)
        die("file");
}

static void peer(void)
{
    open_and_map();
    bool mapped = access("mapped-peer", F_OK) == 0;
    int stale = 0;
    for (int round = 1; round <= ROUNDS; round++) {
        stale += !receive_round(round, TO_PEER, mapped);
        send_round(round, FROM_PEER, mapped);
    }
    _exit(stale > 255 ? 255 : stale);
}

static pid_t start_peer(void)
{
    char program[PATH_MAX + 32];
    snprintf(program, sizeof program, "%s/coherence-bytes", programs_directory);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execle(program, program, "peer", ".", NULL, (char *const[]){NULL});
        _exit(127);
    }
    return child;
}

static void exchange(bool mapped, bool mapped_peer)
{
    make_file("file", 0, FILE_SIZE);
    open_and_map();
    memset(map, 0, FILE_SIZE);
    warm(fd);
    memset(map, 0, FILE_SIZE);
    unlink("mapped-peer");
    if (mapped_peer)
        make_file("mapped-peer", 0, 1);
    pid_t child = start_peer();
    int stale = 0, status;
    for (int round = 1; round <= ROUNDS; round++) {
        send_round(round, TO_PEER, mapped);
        stale += !receive_round(round, FROM_PEER, mapped);
    }
    if (waitpid(child, &status, 0) != child)
        die("waitpid");
    say("%d rounds, %d stale here, %d stale there", ROUNDS, stale, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    munmap(map, FILE_SIZE);
    close(fd);
}

static void calls_and_calls(void) { exchange(false, false); }
static void calls_and_a_mapping(void) { exchange(false, true); }

// Both in one program, and the peer with calls.
static void a_mapping_and_calls(void)
{
    exchange(true, false);
    fd = open_file("file", 1, O_RDWR);
    say_origin("pread", block, CALL(pread(fd, block, BLOCK, 500000)), 500000);
}

// Sizes: each side sees what the other has made of the file, at once.
static void sizes(void)
{
    fd = open_file("file", 1, O_RDWR);
    char *const ask[] = {"/usr/bin/stat", "-c", "%s bytes for the other", "file", NULL};
    struct stat status;
    for (int i = 0; i < 12; i++) {
        switch (i % 6) {
        case 0: CALL(ftruncate(fd, FILE_SIZE - 1000 * i)); break;
        case 1: CALL(pwrite(fd, block, BLOCK, FILE_SIZE - 100 * i)); break;
        case 2: MODIFY("fill", "file", "6292000", "40000", "5"); break;
        case 3: CALL((lseek(fd, 0, SEEK_END), write(fd, block, BLOCK))); break;
        case 4: MODIFY("truncate", "file", "5000000"); break;
        default: MODIFY("fill", "file", "5000000", "1400000", "6"); break;
        }
        unshimmed(ask);
        CALL(fstat(fd, &status));
        say("%ld bytes for us, %ld by lseek", (long)status.st_size, (long)lseek(fd, 0, SEEK_END));
        say_bytes("pread", block, CALL(pread(fd, block, BLOCK, status.st_size - 5000)));
        say_bytes("pread", block, CALL(pread(fd, block, BLOCK, 1 << 20)));
        CALL(pwrite(fd, block, BLOCK, 1 << 20));
    }
    truth("file");
}

PROGRAM({"peer", peer}, {"calls-and-calls", calls_and_calls}, {"calls-and-a-mapping", calls_and_a_mapping},
        {"a-mapping-and-calls", a_mapping_and_calls}, {"sizes", sizes})

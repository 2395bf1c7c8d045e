// Buffers that are not wholly there: a copy of ours faults where the kernel's would, and the count is the kernel's.
#include <signal.h>

#include "transcript.h"

enum { ROOM = 8 };

static const long before[] = {0, 1, 7, 63, 64, 100, 511, 4000, 4096, 6000, 8192, 16384};
static const long counts[] = {1, 3, 8, 15, 32, 64, 65, 128, 129, 200, 1000, 4096, 4097, 9000, 20000};
static const long places[] = {8192, 1 << 20, (2 << 20) + 4001};

#define EACH(index, array) for (size_t index = 0; index < sizeof array / sizeof *array; index++)

static const char *const borders[] = {"unmapped", "forbidden", "read-only", "beyond the end of a file",
                                      "beyond the end of this file"};
enum { UNMAPPED, FORBIDDEN, READ_ONLY, BEYOND_A_FILE, BEYOND_THIS_FILE, BORDERS };

static int signals_seen;

static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = count_signal};
    if (sigaction(SIGSEGV, &action, NULL) != 0 || sigaction(SIGBUS, &action, NULL) != 0)
        die("sigaction");
}

// ROOM pages that can be used, then the border.
static unsigned char *border(int kind)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS, fd = -1;
    long start = 0;
    if (kind == BEYOND_A_FILE) {
        make_file("short", 0, ROOM * PAGE);
        fd = open("short", O_RDWR | O_CLOEXEC);
        flags = MAP_SHARED;
    } else if (kind == BEYOND_THIS_FILE) {
        fd = open("file", O_RDWR | O_CLOEXEC);
        flags = MAP_SHARED;
        start = (FILE_SIZE & -PAGE) - (ROOM - 1) * PAGE;
    }
    unsigned char *pages = mmap(NULL, 2 * ROOM * PAGE, PROT_READ | PROT_WRITE, flags, fd, start);
    if (pages == MAP_FAILED)
        die("mmap");
    if (fd >= 0)
        close(fd);
    unsigned char *end = pages + ROOM * PAGE;
    if (kind == UNMAPPED && munmap(end, ROOM * PAGE) != 0)
        die("munmap");
    if (kind == FORBIDDEN && mprotect(end, ROOM * PAGE, PROT_NONE) != 0)
        die("mprotect");
    if (kind == READ_ONLY && mprotect(end, ROOM * PAGE, PROT_READ) != 0)
        die("mprotect");
    return end;
}

static void release(unsigned char *end) { munmap(end - ROOM * PAGE, 2 * ROOM * PAGE); }

static void say_target(const char *label, const unsigned char *end, long room, long result)
{
    say("  %s: %ld, %016lx of %ld before the border", label, result, hash_of(end - room, (size_t)room), room);
}

// Every plain read there is, into a buffer that ends `room` bytes before a border.
static void read_targets(void)
{
    int fd = open_file("file", 1, O_RDWR);
    watch_signals();
    for (int kind = 0; kind < BORDERS; kind++) {
        unsigned char *end = border(kind);
        EACH(i, before) EACH(j, counts) EACH(k, places)
        {
            long room = before[i], count = counts[j], at = places[k];
            if (count < room)
                continue;
            say("-- %s, %ld of %ld", borders[kind], room, count);
            memset(end - ROOM * PAGE, 0x5a, ROOM * PAGE);
            say_target("pread", end, room, CALL(pread(fd, end - room, (size_t)count, at)));
            memset(end - ROOM * PAGE, 0xa5, ROOM * PAGE);
            lseek(fd, at, SEEK_SET);
            say_target("read", end, room, CALL(read(fd, end - room, (size_t)count)));
            OFFSET(fd);
        }
        release(end);
    }
    say("%d signals", signals_seen);
    truth("file");
}

// A bad part first, in the middle and last, of vectors of several shapes.
static void vectored_targets(void)
{
    int fd = open_file("file", 1, O_RDWR);
    static unsigned char first[6000], last[6000];
    watch_signals();
    for (int kind = 0; kind < BORDERS; kind++) {
        unsigned char *end = border(kind);
        EACH(i, before) EACH(k, places)
        {
            struct iovec bad = {end - before[i], 6000 + (size_t)before[i]};
            struct iovec shapes[][3] = {{bad, {first, 5000}, {last, 100}},
                                        {{first, 5000}, bad, {last, 6000}},
                                        {{first, 0}, {last, 1}, bad},
                                        {{NULL, 0}, bad, {NULL, 1}}};
            EACH(shape, shapes)
            {
                say("-- %s, %ld, shape %zu", borders[kind], before[i], shape);
                memset(end - ROOM * PAGE, 0x5a, ROOM * PAGE);
                memset(first, 1, sizeof first);
                memset(last, 2, sizeof last);
                say_target("preadv", end, before[i], CALL(preadv(fd, shapes[shape], 3, places[k])));
                say("  %016lx %016lx", hash_of(first, sizeof first), hash_of(last, sizeof last));
                lseek(fd, places[k] + 1, SEEK_SET);
                say_target("readv", end, before[i], CALL(readv(fd, shapes[shape], 3)));
                OFFSET(fd);
                say_target("preadv2", end, before[i], CALL(preadv2(fd, shapes[shape], 3, -1, 0)));
                OFFSET(fd);
            }
        }
        release(end);
    }
    say("%d signals", signals_seen);
}

static unsigned char page_of_ours[PAGE];

// The first write to an inode in each clock tick is the kernel's, and so is the first read after it: have them done, so
// that the next may be served.
static void ready_to_write(int fd)
{
    if (pwrite(fd, page_of_ours, PAGE, 4 << 20) != PAGE)
        die("pwrite");
}

static void ready_to_read(int fd)
{
    static unsigned char bytes[PAGE];
    for (int i = 0; i < 2; i++)
        if (pread(fd, bytes, PAGE, 4 << 20) != PAGE)
            die("pread");
}

#define WRITES(call) (ready_to_write(fd), CALL(call))
#define READS(call) (ready_to_read(fd), CALL(call))

static void write_sources(void)
{
    int fd = open_file("file", 1, O_RDWR);
    watch_signals();
    fill(page_of_ours, 9, 4 << 20, PAGE);
    for (int kind = 0; kind < BORDERS; kind++) {
        unsigned char *end = border(kind);
        EACH(i, before) EACH(j, counts) EACH(k, places)
        {
            long room = before[i], count = counts[j], at = places[k];
            if (count < room || count < 512)
                continue;
            say("-- %s, %ld of %ld", borders[kind], room, count);
            // The end of this very file is what is being written from: its bytes stay.
            if (kind != BEYOND_THIS_FILE)
                fill(end - ROOM * PAGE, (int)(i + j + k), 0, ROOM * PAGE);
            WRITES(pwrite(fd, end - room, (size_t)count, at));
            lseek(fd, at + 40000, SEEK_SET);
            WRITES(write(fd, end - room, (size_t)count));
            OFFSET(fd);
            struct iovec vector[] = {{page_of_ours, 1000}, {end - room, (size_t)count}, {page_of_ours, 3000}};
            WRITES(pwritev(fd, vector, 3, at + 80000));
            WRITES(writev(fd, vector, 3));
            OFFSET(fd);
            if (j == 12 && i % 4 == 0)
                truth("file");
        }
        release(end);
    }
    say("%d signals", signals_seen);
    truth("file");
}

// Addresses no mapping can have, or that the kernel keeps to itself.
static void absurd_addresses(void)
{
    int fd = open_file("file", 1, O_RDWR);
    watch_signals();
    static const uintptr_t addresses[] = {0,
                                          1,
                                          4095,
                                          0x00007fffffffe800, // in the last page there is, and beyond it
                                          0x00007ffffffff000, // between user memory and the hole of the address space
                                          0x0000800000000000, // not canonical
                                          0x8000000000000000,
                                          0xffff800000000000,
                                          0xffffffffff600000, // vsyscall: may be executed only
                                          0xfffffffffffff000,
                                          0xffffffffffffffff};
    fill(page_of_ours, 9, 4 << 20, PAGE);
    // Not there only if the stack is.
    mmap((void *)0x00007fffffffe000, PAGE, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    EACH(i, addresses) EACH(j, counts)
    {
        void *address = (void *)addresses[i];
        size_t count = (size_t)counts[j];
        struct iovec vector[] = {{page_of_ours, 512}, {address, count}, {page_of_ours, 512}};
        say("-- %#lx, %zu", addresses[i], count);
        READS(pread(fd, address, count, 1 << 20));
        READS(preadv(fd, vector, 3, 1 << 20));
        READS(preadv(fd, address, 2, 1 << 20));
        fill(page_of_ours, 9, 4 << 20, PAGE);
        WRITES(pwrite(fd, address, count, 1 << 20));
        WRITES(pwritev(fd, vector, 3, 2 << 20));
        WRITES(pwritev(fd, address, 2, 2 << 20));
        lseek(fd, 3 << 20, SEEK_SET);
        READS(read(fd, address, count));
        READS(readv(fd, vector, 3));
        fill(page_of_ours, 9, 4 << 20, PAGE);
        OFFSET(fd);
        WRITES(write(fd, address, count));
        WRITES(writev(fd, vector, 3));
        OFFSET(fd);
    }
    say("%d signals", signals_seen);
    truth("file");
}

// The array of a vector may end at a border, too; and be bad memory only in the part that is not asked for.
static void vectors_at_a_border(void)
{
    int fd = open_file("file", 1, O_RDWR);
    static unsigned char bytes[4][2000];
    for (int kind = 0; kind < READ_ONLY; kind++) {
        unsigned char *end = border(kind);
        struct iovec *vector = (struct iovec *)end - 3;
        for (int i = 0; i < 3; i++)
            vector[i] = (struct iovec){bytes[i], sizeof bytes[i]};
        for (int number = 1; number <= 5; number++) {
            memset(bytes, 7, sizeof bytes);
            READS(preadv(fd, vector, number, 300000));
            say("  %016lx", hash_of(bytes, sizeof bytes));
            WRITES(pwritev(fd, vector, number, 600000));
            READS(preadv(fd, (struct iovec *)((char *)vector + 8), number, 300000));
        }
        release(end);
    }
    truth("file");
}

PROGRAM({"read-targets", read_targets}, {"vectored-targets", vectored_targets}, {"write-sources", write_sources},
        {"absurd-addresses", absurd_addresses}, {"vectors-at-a-border", vectors_at_a_border})

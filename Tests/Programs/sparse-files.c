// Files with holes: what reading and writing them leaves allocated. See transcript.h.
#include "transcript.h"

#define SPARSE (1l << 30)
#define ISLANDS 16
#define ISLAND (192l << 10)

static unsigned char buffer[1 << 20];

static long blocks(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (long)status.st_blocks : -1;
}

static int sparse_file(const char *path, long size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, size) != 0)
        die(path);
    return fd;
}

// Every page read, in pieces of some size; what came, and what it cost.
static void read_all(int fd, long size, long piece)
{
    uint64_t hash = HASH_START;
    long at = 0, count;
    while (at < size && (count = pread(fd, buffer, (size_t)piece, at)) > 0) {
        if (buffer[0] || memcmp(buffer, buffer + 1, (size_t)count - 1) != 0)
            hash = hash_add(hash, buffer, (size_t)count);
        at += count;
    }
    say("  %ld bytes in pieces of %ld: %016lx, %ld blocks", at, piece, hash, blocks(fd));
}

static void reading_holes(void)
{
    int fd = sparse_file("sparse", SPARSE);
    read_all(fd, SPARSE, 4096);
    read_all(fd, SPARSE, 65536);
    CALL(lseek(fd, 12345, SEEK_SET));
    long count, total = 0;
    while ((count = read(fd, buffer, 1 << 20)) > 0)
        total += count;
    say("  read %ld bytes in order, %ld blocks", total, blocks(fd));
    // At random, by a seek that no shim sees before each read.
    uint64_t random = 1;
    for (int i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        raw(SYS_lseek, fd, (long)(random >> 34), SEEK_SET, 0, 0, 0);
        if (read(fd, buffer, 5000) != 5000)
            die("read");
    }
    say("  %ld blocks", blocks(fd));
    close(fd);
}

// Data in a few places, of which most lies in pages of its own.
static void make_islands(int fd)
{
    for (long island = 0; island < ISLANDS; island++) {
        long at = island * (SPARSE / ISLANDS) + island * 4096;
        fill(buffer, 1, at, ISLAND);
        if (raw(SYS_pwrite64, fd, (long)buffer, ISLAND, at, 0, 0) != ISLAND)
            die("pwrite");
    }
}

static void reading_around_data(void)
{
    int fd = sparse_file("sparse", SPARSE);
    make_islands(fd);
    say("  %ld blocks", blocks(fd));
    for (int round = 0; round < 3; round++) {
        uint64_t hash = HASH_START;
        for (long island = 0; island < ISLANDS; island++)
            for (long at = -65536; at < ISLAND + (64l << 10); at += 4000) {
                long from = island * (SPARSE / ISLANDS) + island * 4096 + at;
                if (from >= 0 && pread(fd, buffer, 4000, from) == 4000)
                    hash = hash_add(hash, buffer, 4000);
            }
        say("  %016lx, %ld blocks", hash, blocks(fd));
    }
    truth("sparse");
    close(fd);
}

static void writing_into_holes(void)
{
    int fd = sparse_file("sparse", 64l << 20);
    for (int round = 0; round < 4; round++) {
        for (long i = 0; i < 400; i++) {
            long at = i * 149l * 1024 % (60l << 20), count = 512 + i * 37 % 9000;
            fill(buffer, round, at, count);
            if (pwrite(fd, buffer, (size_t)count, at) != count || pread(fd, buffer, (size_t)count, at) != count)
                die("pwrite");
            if (i % 100 == 0)
                say_origin("read", buffer, count, at);
        }
        say("  round %d: %ld blocks", round, blocks(fd));
    }
    truth("sparse");
    close(fd);
}

static void preallocated(void)
{
    int fd = sparse_file("preallocated", 32l << 20);
    CALL(fallocate(fd, 0, 4l << 20, 16l << 20));
    say("  %ld blocks", blocks(fd));
    for (int round = 0; round < 3; round++) {
        for (long at = 0; at + 8192 < 32l << 20; at += 96l << 10) {
            if (round > 0 || at >> 20 < 8) {
                fill(buffer, round, at, 8192);
                if (pwrite(fd, buffer, 8192, at) != 8192)
                    die("pwrite");
            }
            if (pread(fd, buffer, 8192, at + 4096) != 8192)
                die("pread");
        }
        say("  %ld blocks", blocks(fd));
    }
    truth("preallocated");
    close(fd);
}

// Holes that come where there was data are holes again.
static void punching(void)
{
    int fd = sparse_file("sparse", 64l << 20);
    for (int round = 0; round < 3; round++) {
        for (long at = 1l << 20; at < 40l << 20; at += 32l << 10) {
            fill(buffer, round, at, 12288);
            if (pwrite(fd, buffer, 12288, at) != 12288)
                die("pwrite");
        }
        for (int times = 0; times < 3; times++)
            for (long at = 1l << 20; at < 40l << 20; at += 32l << 10)
                if (pread(fd, buffer, 12288, at) != 12288)
                    die("pread");
        say("  written: %ld blocks", blocks(fd));
        CALL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (5l << 20) + 4096 * round, 9l << 20));
        for (long at = 4l << 20; at < 16l << 20; at += 8192)
            if (pread(fd, buffer, 8192, at) != 8192)
                die("pread");
        say("  punched: %ld blocks", blocks(fd));
        CALL(ftruncate(fd, 20l << 20));
        CALL(ftruncate(fd, 64l << 20));
        for (long at = 18l << 20; at < 60l << 20; at += 8192)
            if (pread(fd, buffer, 8192, at) != 8192)
                die("pread");
        say("  cut: %ld blocks", blocks(fd));
        truth("sparse");
    }
    close(fd);
}

// ---- by hand: `sparse-files write|use DIRECTORY`, each a process of its own -----------------------------------------
// Writes 64 places in a hole once each.
static void write_once(void)
{
    int fd = sparse_file("shared", SPARSE);
    for (long i = 0; i <= 64; i++) {
        fill(buffer, 1, i * (3l << 20), 16384);
        if (pwrite(fd, buffer, 16384, i * (3l << 20)) != 16384)
            die("pwrite");
    }
    say("  %ld blocks", blocks(fd));
    close(fd);
}

// Reads the same places and writes to them again.
static void use(void)
{
    int fd = open("shared", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("shared");
    for (int round = 0; round < 50; round++)
        for (long i = 0; i < 64; i++) {
            long at = i * (3l << 20) + 4096 * (round % 3);
            if (pread(fd, buffer, 8192, at) != 8192 || pwrite(fd, buffer, 8192, at) != 8192)
                die("shared");
        }
    say("  %ld blocks", blocks(fd));
    truth("shared");
    close(fd);
}

// Reads every page three times, the last first, so that what is known of it is used, and says what the file takes.
static void read_pages(int fd, int pages)
{
    for (int round = 0; round < 3; round++)
        for (int page = pages - 1; page >= 0; page--)
            if (pread(fd, buffer, PAGE, page * (long)PAGE) != PAGE)
                die("pread");
    say("  %d pages read, %ld blocks", pages, blocks(fd));
}

static void write_page(int fd, int page)
{
    memset(buffer, 7, PAGE);
    if (pwrite(fd, buffer, PAGE, page * (long)PAGE) != PAGE)
        die("pwrite");
}

// A child writes pages behind the end that this process knows, and reads them back, as what it has in use too.
static void write_in_child(int first, int count)
{
    pid_t child = fork();
    if (child == 0) {
        int fd = open("cut", O_RDWR);
        for (int round = 0; round < 4; round++)
            for (int page = first; page < first + count; page++)
                write_page(fd, page);
        read_pages(fd, 256);
        exit(0);
    }
    waitpid(child, NULL, 0);
}

// Cut and made longer by turns, each time leaving a hole where another process had written. A page far behind is
// written then, so that this process learns the new end, and the pages before it lie where they can be served.
static void cut_and_extended(void)
{
    int fd = sparse_file("cut", 256 * PAGE);
    for (int page = 0; page < 4; page++)
        write_page(fd, page);
    read_pages(fd, 256);
    for (int turn = 0; turn < 6; turn++) {
        CALL(ftruncate(fd, PAGE + 511));
        CALL(ftruncate(fd, 256 * PAGE));
        write_in_child(20, 8);
        // More than this process knows of and less than there is, or just what it knows.
        CALL(ftruncate(fd, turn % 2 == 0 ? (20 + turn) * PAGE : PAGE + 511));
        CALL(ftruncate(fd, 256 * PAGE));
        for (int round = 0; round < 4; round++)
            write_page(fd, 200 + turn);
        // Nothing beside them first, which would have the kernel asked about all of them.
        for (int page = 20; page < 28; page++)
            if (pread(fd, buffer, PAGE, page * (long)PAGE) != PAGE)
                die("pread");
        read_pages(fd, 256);
    }
    close(fd);
}

// The last page is a hole, all before it are not, and the file grows behind it.
static void grown_behind_a_hole(void)
{
    for (int way = 0; way < 2; way++) {
        int fd = sparse_file("grown", 16 * PAGE);
        for (int page = 0; page < 15; page++)
            write_page(fd, page);
        read_pages(fd, 15);
        if (way == 0)
            for (int page = 16; page < 20; page++)
                write_page(fd, page);
        else
            CALL(fallocate(fd, 0, 16 * PAGE, 4 * PAGE));
        read_pages(fd, 15);
        read_pages(fd, 20);
        close(fd);
    }
}

// Two regions of 2 MiB: the first is a hole but for a page, the second is whole, until it is made longer by a hole.
static void grown_by_a_hole(void)
{
    const int first = 512, beyond = first + 128;
    int fd = sparse_file("grown", beyond * PAGE);
    write_page(fd, 0);
    for (int page = first; page < beyond; page++)
        write_page(fd, page);
    for (int round = 0; round < 3; round++)
        for (int page = beyond - 1; page >= first; page--)
            if (pread(fd, buffer, PAGE, page * (long)PAGE) != PAGE)
                die("pread");
    CALL(ftruncate(fd, (beyond + 256) * PAGE));
    // The holes before are looked at, and with them the size.
    read_pages(fd, 300);
    write_page(fd, beyond + 200);
    for (int round = 0; round < 3; round++)
        for (int page = beyond; page < beyond + 190; page++)
            if (pread(fd, buffer, PAGE, page * (long)PAGE) != PAGE)
                die("pread");
    say("  %ld blocks", blocks(fd));
    read_pages(fd, beyond + 256);
    close(fd);
}

PROGRAM({"cut-and-extended", cut_and_extended}, {"grown-behind-a-hole", grown_behind_a_hole},
        {"grown-by-a-hole", grown_by_a_hole},
        {"reading-holes", reading_holes}, {"reading-around-data", reading_around_data},
        {"writing-into-holes", writing_into_holes}, {"preallocated", preallocated}, {"punching", punching},
        {"write-once", write_once}, {"use", use})

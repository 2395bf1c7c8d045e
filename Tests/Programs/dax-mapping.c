// `dax-mapping CASE DIRECTORY`: what a mapping of a file on DAX can do, in a transcript.
#include "transcript.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

// A file whose mapping needs no msync: MAP_SYNC is granted by DAX file systems only.
static void synchronous(void)
{
    make_file("file", 1, FILE_SIZE);
    int fd = open("file", O_RDWR);
    struct statx facts;
    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &facts) != 0)
        die("file");
    say("dax %d", (facts.stx_attributes & STATX_ATTR_DAX) != 0);
    char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    say("MAP_SYNC %d", map != MAP_FAILED);
    if (map == MAP_FAILED)
        return;
    char buffer[PAGE];
    for (long page = 0; page < 100; page++) {
        memset(map + page * PAGE, (int)page + 1, PAGE);
        ssize_t result = pread(fd, buffer, PAGE, page * PAGE);
        if (result != PAGE || memcmp(buffer, map + page * PAGE, PAGE) != 0)
            say("pread of page %ld: %zd, or other bytes than in the mapping", page, result);
        memset(buffer, (int)page + 101, PAGE);
        result = pwrite(fd, buffer, PAGE, page * PAGE);
        if (result != PAGE || memcmp(buffer, map + page * PAGE, PAGE) != 0)
            say("pwrite of page %ld: %zd, or other bytes than in the mapping", page, result);
    }
    say("msync %d", msync(map, PAGE, MS_SYNC));
    say("fdatasync %d", fdatasync(fd));
}

// ---- preallocated space: every byte is what was written last, or zero, by whatever way it is read ----
#define GROUPS 8
#define GROUP (2l << 20)

static int preallocated_file(void)
{
    int fd = open("preallocated", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, GROUPS * GROUP) != 0)
        die("preallocated");
    return fd;
}

static unsigned char mark_of(long page) { return (unsigned char)(page % 250 + 1); }

static void write_page(int fd, long page)
{
    char buffer[PAGE];
    memset(buffer, mark_of(page), PAGE);
    if (pwrite(fd, buffer, PAGE, page * PAGE) != PAGE)
        die("pwrite");
}

// Pages that were left out (every `skipped`th) are zeros.
static void check_pages(int fd, long skipped)
{
    char buffer[PAGE], expected[PAGE];
    long wrong = 0, unmapped = 0;
    const char *map = mmap(NULL, GROUPS * GROUP, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die("mmap");
    for (long page = 0; page < GROUPS * GROUP / PAGE; page++) {
        memset(expected, page % skipped == skipped - 1 ? 0 : mark_of(page), PAGE);
        if (pread(fd, buffer, PAGE, page * PAGE) != PAGE || memcmp(buffer, expected, PAGE) != 0)
            wrong++;
        if (memcmp(map + page * PAGE, expected, PAGE) != 0)
            unmapped++;
    }
    struct stat facts;
    if (fstat(fd, &facts) != 0)
        die("fstat");
    say("wrong %ld, wrong in a mapping %ld, size %ld, blocks %ld", wrong, unmapped, (long)facts.st_size,
        (long)facts.st_blocks >= GROUPS * GROUP / 512 ? GROUPS * GROUP / 512 : (long)facts.st_blocks);
}

// Groups but the first and the last that can be mapped as one page: how the file system places a file depends on what
// else it has.
static long whole_groups(int fd)
{
    union {
        struct fiemap map;
        char room[sizeof(struct fiemap) + 64 * sizeof(struct fiemap_extent)];
    } found = {.map = {.fm_length = GROUPS * GROUP, .fm_extent_count = 64}};
    long count = 0;
    if (ioctl(fd, FS_IOC_FIEMAP, &found.map) != 0)
        return 0;
    for (long group = GROUP; group < (GROUPS - 1) * GROUP; group += GROUP)
        for (unsigned i = 0; i < found.map.fm_mapped_extents; i++) {
            const struct fiemap_extent *extent = &found.map.fm_extents[i];
            if ((long)extent->fe_logical <= group && (long)(extent->fe_logical + extent->fe_length) >= group + GROUP)
                count += (extent->fe_physical - extent->fe_logical) % GROUP == 0;
        }
    return count;
}

// Not compared with a native run: the same, and how many groups there are to be made ready.
static void preallocated_groups(void)
{
    int fd = preallocated_file();
    say("groups %ld", whole_groups(fd));
    for (long page = 0; page < GROUPS * GROUP / PAGE; page++)
        write_page(fd, page);
    check_pages(fd, LONG_MAX);
}

static void preallocated(void)
{
    int fd = preallocated_file();
    for (long page = 0; page < GROUPS * GROUP / PAGE; page++) {
        if (page % 7 == 6)
            continue;
        write_page(fd, page);
        if (page % 64 == 0 && fdatasync(fd) != 0)
            die("fdatasync");
    }
    check_pages(fd, 7);
}

static int shared_file;

static void *write_every_fourth(void *first)
{
    for (long page = (long)first; page < GROUPS * GROUP / PAGE; page += 4)
        if (page % 7 != 6)
            write_page(shared_file, page);
    return NULL;
}

static void preallocated_threads(void)
{
    pthread_t threads[4];
    shared_file = preallocated_file();
    for (long i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, write_every_fourth, (void *)i) != 0)
            die("pthread_create");
    for (long i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    check_pages(shared_file, 7);
}

// Another process writes where ours makes the space ready.
static void preallocated_processes(void)
{
    int fd = preallocated_file();
    pid_t child = fork();
    if (child == 0) {
        for (long page = 1; page < GROUPS * GROUP / PAGE; page += 2) {
            if (page % 7 != 6)
                write_page(fd, page);
        }
        _exit(0);
    }
    for (long page = 0; page < GROUPS * GROUP / PAGE; page += 2)
        if (page % 7 != 6)
            write_page(fd, page);
    int status = -1;
    waitpid(child, &status, 0);
    say("child %d", status);
    check_pages(fd, 7);
}

// As a log that is made anew when it is full: its number is the same each time, unless somebody else has taken it
// between. Prints how often it was the same, and how many groups there were to be made ready in all but the first:
// where the file system has placed them otherwise there are none.
static void preallocated_again(void)
{
    long groups = 0, same = 0;
    ino_t number = 0;
    for (int log = 0; log < 4; log++) {
        int fd = preallocated_file();
        struct stat status;
        if (fstat(fd, &status) != 0)
            die("fstat");
        same += status.st_ino == number;
        number = status.st_ino;
        if (log > 0)
            groups += whole_groups(fd);
        for (long page = 0; page < GROUPS * GROUP / PAGE; page++)
            write_page(fd, page);
        if (log == 3)
            check_pages(fd, LONG_MAX);
        close(fd);
        unlink("preallocated");
    }
    say("same %ld", same);
    say("groups %ld", groups);
}

// A commit as LMDB does it: pages, a sync, and a few bytes by a description with O_DSYNC. Prints the page faults of
// 4,000 that write no page, once the file is in use.
static void committed_by_few_bytes(void)
{
    enum { COMMITS = 4000, PAGES = FILE_SIZE / PAGE };
    char buffer[PAGE];
    make_file("file", 1, FILE_SIZE);
    int fd = open("file", O_RDWR), meta = open("file", O_WRONLY | O_DSYNC);
    struct rusage before, after;
    if (fd < 0 || meta < 0 || fsync(fd) != 0)
        die("file");
    for (int commit = 0; commit < 2 * COMMITS; commit++) {
        if (commit == COMMITS)
            getrusage(RUSAGE_SELF, &before);
        memset(buffer, commit, PAGE);
        for (int page = 0; page < 3 && commit < COMMITS; page++)
            if (pwrite(fd, buffer, PAGE, (3 + (commit * 3l + page) % (PAGES - 8)) * PAGE) != PAGE)
                die("pwrite");
        if (fdatasync(fd) != 0 || pwrite(meta, buffer, 120, PAGE * (commit & 1) + 16) != 120)
            die("commit");
    }
    getrusage(RUSAGE_SELF, &after);
    say("faults %ld", after.ru_minflt - before.ru_minflt);
}

PROGRAM({"synchronous", synchronous}, {"preallocated", preallocated}, {"preallocated-threads", preallocated_threads},
    {"preallocated-processes", preallocated_processes}, {"preallocated-groups", preallocated_groups},
    {"preallocated-again", preallocated_again}, {"committed-by-few-bytes", committed_by_few_bytes})

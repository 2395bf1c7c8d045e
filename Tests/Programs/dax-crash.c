// What a file is after a crash, against what its program was told is durable.
//
//   dax-crash CASE DIRECTORY SNAPSHOT     does the case in DIRECTORY; when the last call that promises durability has
//                                         returned, runs the command SNAPSHOT, without the preload, and ends
//   dax-crash --look DIRECTORY            prints size, mode, links and bytes (a sum of each page) of the files there
//   dax-crash --cases                     names them
//
// The reader of the results compares --look of the live directory, at that moment, with --look of the replayed image,
// for a native run and for one under the preload: what native keeps must be kept (scripts/crash image).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stopping.h"

#define PAGE 4096
#define LARGE 1024l /* pages: two regions, so that what lies behind them keeps nobody from storing to them */
#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        if ((long)(call) < 0) {                                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(errno));                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static const char *self, *snapshot;
static char path[4096], other[4096];
static char page[16 * PAGE];

static char *filled(int value)
{
    memset(page, value, sizeof page);
    return page;
}

static void settle(void) // to the next clock tick, and past it
{
    struct timespec t = {0, 12000000};
    nanosleep(&t, NULL);
}

// A file of `pages` written pages, synced, and then overwritten and synced until that is nothing for the kernel any
// more.
static int prepared(int pages, int flags)
{
    int fd = open(path, O_RDWR | O_CREAT | flags, 0600);
    CHECK(fd);
    for (int i = 0; i < pages; i++)
        CHECK(pwrite(fd, filled(1), PAGE, (off_t)i * PAGE));
    CHECK(fsync(fd));
    settle();
    for (int i = 0; i < 200; i++) {
        CHECK(pwrite(fd, filled(2), PAGE, (off_t)(i % (pages - 2)) * PAGE));
        CHECK(fdatasync(fd));
    }
    CHECK(fsync(fd));
    settle();
    CHECK(fsync(fd));
    CHECK(fdatasync(fd));
    return fd;
}

// The same program without the preload, or with it: `action` on `path`, to its end.
static void another(const char *action, int shimmed)
{
    pid_t child = fork();
    CHECK(child);
    if (child == 0) {
        if (!shimmed)
            unsetenv("LD_PRELOAD");
        execl(self, self, "--act", action, path, (char *)NULL);
        _exit(127);
    }
    int status;
    CHECK(waitpid(child, &status, 0));
    if (status != 0) {
        fprintf(stderr, "%s: %#x\n", action, status);
        exit(1);
    }
}

static int act(const char *action, const char *name)
{
    int fd = open(name, O_RDWR);
    CHECK(fd);
    if (strcmp(action, "extend") == 0) {
        CHECK(ftruncate(fd, 96 * PAGE));
    } else if (strcmp(action, "append") == 0) {
        for (int i = 0; i < 32; i++)
            CHECK(pwrite(fd, filled(7), PAGE, (off_t)(64 + i) * PAGE));
    } else if (strcmp(action, "store") == 0) {
        char *map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK((long)map);
        memset(map + 5 * PAGE, 9, PAGE);
    } else if (strcmp(action, "mode") == 0) {
        CHECK(fchmod(fd, 0644));
    } else if (strcmp(action, "fill") == 0) { // space that is only preallocated
        CHECK(pwrite(fd, filled(8), 8 * PAGE, 70 * PAGE));
    } else if (strcmp(action, "fill-behind") == 0) {
        CHECK(pwrite(fd, filled(8), 8 * PAGE, (LARGE + 6) * PAGE));
    } else if (strcmp(action, "store-behind") == 0) { // the same, through a mapping
        char *map = mmap(NULL, (LARGE + 64) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK((long)map);
        memset(map + (LARGE + 20) * PAGE, 9, 4 * PAGE);
    } else if (strcmp(action, "synchronous") == 0) {
        int flags = 0;
        CHECK(ioctl(fd, FS_IOC_GETFLAGS, &flags));
        flags |= FS_SYNC_FL;
        CHECK(ioctl(fd, FS_IOC_SETFLAGS, &flags));
    } else if (strcmp(action, "replace") == 0) { // as long as before, in other blocks
        CHECK(ftruncate(fd, 32 * PAGE));
        int between = open(other, O_RDWR | O_CREAT, 0600); // takes those that have become free
        CHECK(between);
        CHECK(posix_fallocate(between, 0, 32 * PAGE));
        for (int i = 32; i < 64; i++)
            CHECK(pwrite(fd, filled(6), PAGE, (off_t)i * PAGE));
    }
    return close(fd);
}

// ---- the cases -------------------------------------------------------------------------------------------------

static void size_by_another(void)
{
    int fd = prepared(64, 0);
    another("extend", 0);
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fdatasync(fd));
}

static void size_by_another_at_once(void) // and stores in the new part
{
    int fd = prepared(64, 0);
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fdatasync(fd));
    another("extend", 0);
    for (int i = 0; i < 8; i++)
        CHECK(pwrite(fd, filled(4), PAGE, (off_t)(70 + i) * PAGE));
    CHECK(fdatasync(fd));
}

static void mode_and_fsync(void)
{
    int fd = prepared(64, 0);
    CHECK(fchmod(fd, 0640));
    CHECK(fsync(fd));
}

static void mode_by_another(void)
{
    int fd = prepared(64, 0);
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fsync(fd));
    another("mode", 0);
    CHECK(fsync(fd));
}

static void rename_and_fsync(void)
{
    int fd = prepared(64, 0);
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fsync(fd));
    CHECK(rename(path, other));
    CHECK(fsync(fd));
}

static void link_and_fsync(void)
{
    int fd = prepared(64, 0);
    CHECK(fsync(fd));
    CHECK(link(path, other));
    CHECK(fsync(fd));
}

static void number_reused(void)
{
    struct stat before, after;
    int fd = prepared(64, 0);
    CHECK(fstat(fd, &before));
    CHECK(close(fd));
    CHECK(unlink(path));
    fd = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(fstat(fd, &after));
    if (before.st_ino != after.st_ino)
        fprintf(stderr, "note: the inode number was not reused\n");
    for (int i = 0; i < 64; i++)
        CHECK(pwrite(fd, filled(5), PAGE, (off_t)i * PAGE));
    CHECK(pwrite(fd, filled(6), PAGE, 4 * PAGE));
    CHECK(fdatasync(fd));
}

static void checkpointer(int data_only)
{
    int fd = prepared(64, 0);
    another("append", 1);
    for (int i = 0; i < 64; i++)
        CHECK(pwrite(fd, filled(4), PAGE, (off_t)(16 + i) * PAGE));
    CHECK(data_only ? fdatasync(fd) : fsync(fd));
}
static void checkpointer_fsync(void) { checkpointer(0); }
static void checkpointer_fdatasync(void) { checkpointer(1); }

static void overwrite_and_fdatasync(void)
{
    int fd = prepared(64, 0);
    for (int i = 0; i < 500; i++) {
        CHECK(pwrite(fd, filled(i), PAGE, (off_t)(i % 60) * PAGE));
        CHECK(fdatasync(fd));
    }
}

static void small_writes(void)
{
    int fd = prepared(64, 0);
    for (int i = 0; i < 500; i++) {
        CHECK(pwrite(fd, filled(i), 24, (off_t)(i % 40) * 4120));
        CHECK(pwrite(fd, filled(i + 1), PAGE, (off_t)(i % 40) * 4120 + 24));
        CHECK(pwrite(fd, filled(i + 2), 100, 50 * PAGE + i));
        CHECK(fdatasync(fd));
    }
}

static void implicit_offsets(void)
{
    int fd = prepared(64, 0);
    CHECK(lseek(fd, 0, SEEK_SET));
    for (int i = 0; i < 70; i++) {
        CHECK(write(fd, filled(i), PAGE));
        CHECK(fdatasync(fd));
    }
}

static void append_and_fdatasync(void)
{
    int fd = prepared(64, O_APPEND);
    for (int i = 0; i < 50; i++) {
        CHECK(write(fd, filled(i), 100 + i * 50));
        CHECK(fdatasync(fd));
    }
}

static void duplicated(void) // a store by one description, the sync by another
{
    int fd = prepared(64, 0), second = open(path, O_RDWR), third = dup(fd);
    CHECK(ftruncate(second, 80 * PAGE));
    CHECK(pwrite(third, filled(3), PAGE, 3 * PAGE));
    CHECK(fdatasync(fd));
}

static void preallocated(void)
{
    int fd = prepared(64, 0);
    CHECK(posix_fallocate(fd, 64 * PAGE, 64 * PAGE));
    CHECK(fdatasync(fd));
    CHECK(fdatasync(fd));
    for (int i = 0; i < 100; i++) {
        CHECK(pwrite(fd, filled(i), PAGE, (off_t)(64 + i % 50) * PAGE));
        CHECK(pwrite(fd, filled(i), 24, (off_t)(116 + i % 10) * PAGE));
        CHECK(fdatasync(fd));
    }
}

static void preallocated_by_another(void) // and written by another, in the tick of our own write
{
    int fd = prepared(64, 0);
    CHECK(posix_fallocate(fd, 64 * PAGE, 64 * PAGE));
    CHECK(fsync(fd));
    settle();
    CHECK(fdatasync(fd));
    another("fill", 0);
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fdatasync(fd));
}

static void store_by_another(void)
{
    int fd = prepared(64, 0);
    another("store", 0);
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fdatasync(fd));
}

static void own_stores_into_a_hole(void)
{
    int fd = prepared(64, 0);
    CHECK(ftruncate(fd, 80 * PAGE));
    CHECK(fdatasync(fd));
    char *map = mmap(NULL, 80 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK((long)map);
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fdatasync(fd));
    memset(map + 70 * PAGE, 9, 4 * PAGE);
    CHECK(fdatasync(fd));
}

static void own_stores_and_msync(void)
{
    int fd = prepared(64, 0);
    char *map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK((long)map);
    for (int i = 0; i < 50; i++) {
        memset(map + i * PAGE, i, 100);
        CHECK(msync(map + i * PAGE, PAGE, MS_SYNC));
    }
    CHECK(ftruncate(fd, 32 * PAGE));
    CHECK(ftruncate(fd, 64 * PAGE));
    memset(map + 40 * PAGE, 77, 3 * PAGE);
    CHECK(msync(map + 40 * PAGE, 3 * PAGE, MS_SYNC));
}

static void cut_and_extended(void)
{
    int fd = prepared(64, 0);
    CHECK(ftruncate(fd, 32 * PAGE));
    CHECK(ftruncate(fd, 64 * PAGE));
    CHECK(pwrite(fd, filled(5), PAGE, 40 * PAGE));
    CHECK(pwrite(fd, filled(6), PAGE, 4 * PAGE));
    CHECK(fdatasync(fd));
}

static void data_sync_descriptor(int flag)
{
    close(prepared(64, 0));
    int fd = open(path, O_RDWR | flag);
    CHECK(fd);
    for (int i = 0; i < 300; i++)
        CHECK(pwrite(fd, filled(i), PAGE, (off_t)(i % 60) * PAGE));
    CHECK(ftruncate(fd, 80 * PAGE));
    CHECK(pwrite(fd, filled(3), PAGE, 4 * PAGE));
    CHECK(pwrite(fd, filled(4), PAGE, 70 * PAGE));
}
static void dsync_descriptor(void) { data_sync_descriptor(O_DSYNC); }
static void sync_descriptor(void) { data_sync_descriptor(O_SYNC); }

// A few bytes by one description, pages and syncs by another: at last into space that is only preallocated.
static void dsync_beside(void)
{
    int fd = prepared(64, 0), meta = open(path, O_WRONLY | O_DSYNC);
    CHECK(meta);
    CHECK(fallocate(fd, 0, 64 * PAGE, 16 * PAGE));
    for (int i = 0; i < 500; i++) {
        CHECK(pwrite(fd, filled(i), PAGE, (off_t)(i % 60) * PAGE));
        CHECK(fdatasync(fd));
        CHECK(pwrite(meta, filled(i + 1), 100, (off_t)(i & 1) * PAGE + 16));
    }
    for (int i = 0; i < 16; i++) {
        CHECK(pwrite(meta, filled(i), 100, (off_t)(64 + i) * PAGE + 50));
        CHECK(pwrite(fd, filled(i + 2), PAGE, 3 * PAGE));
        CHECK(fdatasync(fd));
    }
}

static void dsync_flag(void)
{
    int fd = prepared(64, 0);
    struct iovec vector = {page, PAGE};
    for (int i = 0; i < 300; i++) {
        filled(i);
        CHECK(pwritev2(fd, &vector, 1, (off_t)(i % 60) * PAGE, i & 1 ? RWF_DSYNC : RWF_SYNC));
    }
    CHECK(ftruncate(fd, 80 * PAGE));
    CHECK(pwritev2(fd, &vector, 1, 7 * PAGE, RWF_DSYNC));
}

static void stream(void) // libc's own writes, which no preload sees
{
    int fd = prepared(64, 0);
    FILE *file = fopen(path, "r+");
    CHECK(file ? 0 : -1);
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fdatasync(fd));
    CHECK(fseek(file, 64 * PAGE, SEEK_SET));
    fwrite(filled(8), 1, 3 * PAGE, file);
    CHECK(fflush(file));
    CHECK(fdatasync(fd));
}

// Writes that are synchronous by the file or by the mount, and become so while the file is in use: each makes durable
// what others have done to the file before.
static void synchronous_writes(int fd)
{
    settle();
    for (int i = 0; i < 100; i++)
        CHECK(pwrite(fd, filled(i), PAGE, (off_t)(i % 20) * PAGE));
    another("append", 0);
    settle();
    for (int i = 0; i < 100; i++)
        CHECK(pwrite(fd, filled(i + 1), PAGE, (off_t)(i % 20) * PAGE));
}

static void sync_inode(void)
{
    int fd = prepared(64, 0);
    another("synchronous", 0);
    synchronous_writes(fd);
}

static void sync_mount(void)
{
    int fd = prepared(64, 0);
    char place[4096];
    snprintf(place, sizeof place, "%s", path);
    *strrchr(place, '/') = 0; // the directory of the case, and then the root of the file system
    *strrchr(place, '/') = 0;
    CHECK(mount(NULL, place, NULL, MS_REMOUNT | MS_SYNCHRONOUS, NULL));
    synchronous_writes(fd);
    CHECK(mount(NULL, place, NULL, MS_REMOUNT, NULL));
}

// Another process does `action` while this one is stopped in the midst of a write of its own: before the kernel has
// done it, after that, or when the engine is about to look at the inode for the second time. What it finds then is not
// all its own doing.
static void between(const char *place, const char *action, int wholly)
{
    int looks[2];
    watcher_made(self, place, action, path);
    int fd = prepared(64, 0);
    if (strstr(action, "behind") != NULL) {
        for (int i = 64; i < LARGE; i += 16)
            CHECK(pwrite(fd, filled(1), 16 * PAGE, (off_t)i * PAGE));
        CHECK(posix_fallocate(fd, LARGE * PAGE, 64 * PAGE));
        CHECK(fsync(fd));
        settle();
    }
    // So many bytes that kernel syncs in between, where the machine is slow, do not make writes the kernel's.
    for (int i = 0; i < 100; i++) {
        CHECK(pwrite(fd, filled(i), 16 * PAGE, (off_t)(i % 3) * 16 * PAGE));
        CHECK(fdatasync(fd));
    }
    watcher_begins();
    settle(); // the write is the first of its tick
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    watcher_ends(looks);
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "pmemshim") != NULL && (looks[0] == 0 || looks[1] == 0)) {
        fprintf(stderr, "%d looks before the write, %d after it: nothing is tested\n", looks[0], looks[1]);
        exit(1);
    }
    CHECK(wholly ? fsync(fd) : fdatasync(fd));
}
static void between_extend_before(void) { between("before", "extend", 0); }
static void between_extend_look(void) { between("look", "extend", 0); }
static void between_fill_before(void) { between("before", "fill-behind", 0); }
static void between_fill_after(void) { between("after", "fill-behind", 0); }
static void between_fill_look(void) { between("look", "fill-behind", 0); }
static void between_store_before(void) { between("before", "store-behind", 0); }
static void between_store_look(void) { between("look", "store-behind", 0); }
static void between_replace_before(void) { between("before", "replace", 0); }
static void between_replace_look(void) { between("look", "replace", 0); }
static void between_mode_before(void) { between("before", "mode", 1); }
static void between_mode_look(void) { between("look", "mode", 1); }

static void child_extends(void)
{
    int fd = prepared(64, 0);
    pid_t child = fork();
    CHECK(child);
    if (child == 0) {
        CHECK(pwrite(fd, filled(6), PAGE, 5 * PAGE));
        CHECK(pwrite(fd, filled(6), 4 * PAGE, 64 * PAGE));
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0));
    CHECK(pwrite(fd, filled(3), PAGE, 3 * PAGE));
    CHECK(fdatasync(fd));
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"size-by-another", size_by_another},
    {"size-by-another-at-once", size_by_another_at_once},
    {"mode-and-fsync", mode_and_fsync},
    {"mode-by-another", mode_by_another},
    {"rename-and-fsync", rename_and_fsync},
    {"link-and-fsync", link_and_fsync},
    {"number-reused", number_reused},
    {"checkpointer-fsync", checkpointer_fsync},
    {"checkpointer-fdatasync", checkpointer_fdatasync},
    {"overwrite-and-fdatasync", overwrite_and_fdatasync},
    {"small-writes", small_writes},
    {"implicit-offsets", implicit_offsets},
    {"append-and-fdatasync", append_and_fdatasync},
    {"duplicated", duplicated},
    {"preallocated", preallocated},
    {"preallocated-by-another", preallocated_by_another},
    {"store-by-another", store_by_another},
    {"own-stores-into-a-hole", own_stores_into_a_hole},
    {"own-stores-and-msync", own_stores_and_msync},
    {"cut-and-extended", cut_and_extended},
    {"dsync-descriptor", dsync_descriptor},
    {"sync-descriptor", sync_descriptor},
    {"dsync-flag", dsync_flag},
    {"dsync-beside", dsync_beside},
    {"stream", stream},
    {"child-extends", child_extends},
    {"sync-inode", sync_inode},
    {"sync-mount", sync_mount},
    {"between-extend-before", between_extend_before},
    {"between-extend-look", between_extend_look},
    {"between-fill-before", between_fill_before},
    {"between-fill-after", between_fill_after},
    {"between-fill-look", between_fill_look},
    {"between-store-before", between_store_before},
    {"between-store-look", between_store_look},
    {"between-replace-before", between_replace_before},
    {"between-replace-look", between_replace_look},
    {"between-mode-before", between_mode_before},
    {"between-mode-look", between_mode_look},
};
#define CASES (sizeof cases / sizeof cases[0])

// What is done while the process is stopped lasts longer than a clock tick.
static const char *stopped_action;
static void act_and_settle(void)
{
    settle();
    if (act(stopped_action, path) != 0)
        exit(1);
    settle();
}

// ---- looking ---------------------------------------------------------------------------------------------------

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int is_ours(const struct dirent *entry) { return strncmp(entry->d_name, "file", 4) == 0; }

static int look(const char *directory)
{
    struct dirent **entries;
    int count = scandir(directory, &entries, is_ours, by_name);
    CHECK(count);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
        int fd = open(path, O_RDONLY);
        struct stat st;
        CHECK(fd);
        CHECK(fstat(fd, &st));
        printf("%s size %lld mode %o links %d\n", entries[i]->d_name, (long long)st.st_size, st.st_mode & 07777,
               (int)st.st_nlink);
        uint64_t sum = 0, at = 0;
        for (ssize_t n; (n = read(fd, page, PAGE)) > 0; at++) {
            sum = 14695981039346656037u;
            for (ssize_t k = 0; k < n; k++)
                sum = (sum ^ (unsigned char)page[k]) * 1099511628211u;
            printf("%s page %llu sum %016llx\n", entries[i]->d_name, (unsigned long long)at, (unsigned long long)sum);
        }
        close(fd);
    }
    return 0;
}

int main(int count, char **arguments)
{
    static char name[4096];
    CHECK(readlink("/proc/self/exe", name, sizeof name - 1));
    self = name;
    if (count == 2 && strcmp(arguments[1], "--cases") == 0) {
        for (size_t i = 0; i < CASES; i++)
            puts(cases[i].name);
        return 0;
    }
    if (count == 3 && strcmp(arguments[1], "--look") == 0)
        return look(arguments[2]);
    if (count == 4 && strcmp(arguments[1], "--act") == 0)
        return act(arguments[2], arguments[3]);
    if (count == 5 && strcmp(arguments[1], "--watch") == 0) {
        snprintf(path, sizeof path, "%s", arguments[4]);
        snprintf(other, sizeof other, "%s-other", arguments[4]);
        stopped_action = arguments[3];
        return watch(arguments[2], act_and_settle);
    }
    if (count != 4) {
        fprintf(stderr, "usage: dax-crash CASE DIRECTORY SNAPSHOT | --look DIRECTORY | --cases\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/file", arguments[2]);
    snprintf(other, sizeof other, "%s/file-other", arguments[2]);
    snapshot = arguments[3];
    for (size_t i = 0; i < CASES; i++)
        if (strcmp(cases[i].name, arguments[1]) == 0) {
            cases[i].run();
            unsetenv("LD_PRELOAD");
            return system(snapshot) == 0 ? 0 : 1;
        }
    fprintf(stderr, "no such case: %s\n", arguments[1]);
    return 2;
}

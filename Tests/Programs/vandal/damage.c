// What can happen to files that others may write to, and to the file system they are on.
#include "vandal.h"

#include <dirent.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#define PAGE 4096

static uint64_t state;

static uint64_t below(uint64_t limit)
{
    return random_of(&state) % limit;
}

// ---- the files

// One of ours: of the runtime directory, or the log beside it.
static bool pick(char *path, size_t size)
{
    char names[64][256];
    unsigned count = 0;
    DIR *directory = opendir(setting.runtime);
    for (struct dirent *entry; directory != NULL && count < 63 && (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.') snprintf(names[count++], sizeof names[0], "%s", entry->d_name);
    if (directory != NULL) closedir(directory);
    if (count == 0 || below(8) == 0) snprintf(path, size, "%s/log", setting.run);
    else snprintf(path, size, "%s/%s", setting.runtime, names[below(count)]);
    struct stat status;
    return lstat(path, &status) == 0;
}

static int open_picked(int flags)
{
    char path[PATH_MAX];
    return pick(path, sizeof path) ? open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
}

// Not by name: that would wait for a lease of our own.
static bool cut(off_t size)
{
    int fd = open_picked(O_WRONLY);
    bool done = fd >= 0 && ftruncate(fd, size) == 0;
    if (fd >= 0) close(fd);
    return done;
}

static bool cut_to_nothing(void) { return cut(0); }
static bool cut_somewhere(void) { return cut((off_t)below(1 << 20)); }
static bool cut_at_a_page(void) { return cut((off_t)below(256) * PAGE); }
static bool lengthen(void) { return cut((off_t)below(1ull << 34)); }

static bool remove_picked(char *path, size_t size)
{
    return pick(path, size) && (unlink(path) == 0 || rmdir(path) == 0);
}

static bool remove_one(void)
{
    char path[PATH_MAX];
    return remove_picked(path, sizeof path);
}

static bool make_directory(void)
{
    char path[PATH_MAX];
    return remove_picked(path, sizeof path) && mkdir(path, 0700) == 0;
}

static bool make_node(mode_t type)
{
    char path[PATH_MAX];
    return remove_picked(path, sizeof path) && mknod(path, type | 0600, 0) == 0;
}

// Whoever opens it to write waits for a reader, who never comes.
static bool make_log_fifo(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/log", below(3) == 0 ? setting.runtime : setting.run);
    if (unlink(path) != 0) rmdir(path);
    return mkfifo(path, 0600) == 0;
}

static bool make_fifo(void) { return make_node(S_IFIFO); }
static bool make_socket(void) { return make_node(S_IFSOCK); }

static bool make_file(off_t size)
{
    char path[PATH_MAX];
    if (!remove_picked(path, sizeof path)) return false;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool made = fd >= 0 && ftruncate(fd, size) == 0;
    if (fd >= 0) close(fd);
    return made;
}

static bool make_empty(void) { return make_file(0); }
static bool make_other_size(void) { return make_file(1 + (off_t)below(80 << 20)); }

static bool make_link(void)
{
    static const char *const targets[] = {"/dev/zero", "/dev/full", "/nowhere/at/all", "stats", "pages", "."};
    char path[PATH_MAX];
    return remove_picked(path, sizeof path) && symlink(targets[below(6)], path) == 0;
}

static bool change_mode(void)
{
    static const mode_t modes[] = {0, 0644, 0400, 0600, 0666};
    char path[PATH_MAX];
    return pick(path, sizeof path) && chmod(path, modes[below(5)]) == 0;
}

static bool change_owner(void)
{
    char path[PATH_MAX];
    return setting.root && pick(path, sizeof path) && lchown(path, 12345, 12345) == 0;
}

// Where there is something: page arrays are sparse.
static bool scribble(void)
{
    static unsigned char noise[2 * PAGE];
    struct stat status;
    int fd = open_picked(O_RDWR);
    bool done = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
    for (int times = 0; done && times < 16; times++) {
        off_t data = lseek(fd, (off_t)below((uint64_t)status.st_size), SEEK_DATA);
        if (data < 0) data = lseek(fd, 0, SEEK_DATA);
        if (data < 0) break;
        for (size_t index = 0; index < sizeof noise; index += 8) {
            uint64_t word = random_of(&state);
            memcpy(noise + index, &word, sizeof word);
        }
        size_t length = below(3) == 0 ? sizeof noise : 8;
        if (data + (off_t)length > status.st_size) length = (size_t)(status.st_size - data);
        done = pwrite(fd, noise, length, data) == (ssize_t)length;
    }
    if (fd >= 0) close(fd);
    return done;
}

static bool punch(void)
{
    struct stat status;
    int fd = open_picked(O_RDWR);
    bool done = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    for (int times = 0; done && times < 8; times++)
        done = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)below(512) * PAGE, 4 * PAGE) == 0;
    if (fd >= 0) close(fd);
    return done;
}

// ---- what is held for a while

static struct {
    int fd;
    int64_t until;
} held[8];

static void let_go(bool all)
{
    int64_t now = now_ms();
    for (unsigned index = 0; index < 8; index++) {
        if (held[index].until == 0 || (!all && now < held[index].until)) continue;
        close(held[index].fd);
        held[index].until = 0;
    }
}

static bool hold(int fd, bool got)
{
    unsigned index = 0;
    while (index < 8 && held[index].until != 0) index++;
    if (fd < 0) return false;
    if (!got || index == 8) {
        close(fd);
        return false;
    }
    held[index].fd = fd;
    held[index].until = now_ms() + 20 + (int64_t)below(4000);
    return true;
}

static bool lock_whole(void)
{
    int fd = open_picked(O_RDWR);
    return hold(fd, fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
}

static bool lock_record(int command)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_picked(O_RDWR);
    return hold(fd, fd >= 0 && fcntl(fd, command, &lock) == 0);
}

static bool lock_posix(void) { return lock_record(F_SETLK); }
static bool lock_ofd(void) { return lock_record(F_OFD_SETLK); }

// Whoever opens the file waits for the lease to be given back, 45 s at most.
static bool lease(void)
{
    int fd = open_picked(O_RDONLY);
    return hold(fd, fd >= 0 && (fcntl(fd, F_SETLEASE, F_WRLCK) == 0 || fcntl(fd, F_SETLEASE, F_RDLCK) == 0));
}

// One that nobody has open: a new file has no other users.
static bool lease_new(void)
{
    char path[PATH_MAX];
    if (!remove_picked(path, sizeof path)) return false;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return hold(fd, fd >= 0 && fcntl(fd, F_SETLEASE, F_WRLCK) == 0);
}

// ---- the directory and its file system

static bool fill(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/ballast", setting.run);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    off_t at = lseek(fd, 0, SEEK_END);
    for (off_t piece = 4 << 20; piece >= PAGE;) {
        if (fallocate(fd, 0, at, piece) == 0) at += piece;
        else piece /= 2;
    }
    close(fd);
    return true;
}

static bool fill_but_some(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/ballast", setting.run);
    struct stat status;
    return fill() && stat(path, &status) == 0 && truncate(path, status.st_size - (off_t)below(60) * PAGE) == 0;
}

static bool free_space(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/ballast", setting.run);
    return unlink(path) == 0;
}

// No names are left, though there may be space.
static bool fill_names(void)
{
    char path[PATH_MAX];
    for (int number = 0; number < 400; number++) {
        snprintf(path, sizeof path, "%s/name-%d", setting.run, number);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) return errno == ENOSPC;
        close(fd);
    }
    return false;
}

static bool free_names(void)
{
    char path[PATH_MAX];
    bool any = false;
    for (int number = 0; number < 400; number++) {
        snprintf(path, sizeof path, "%s/name-%d", setting.run, number);
        any |= unlink(path) == 0;
    }
    return any;
}

static bool remove_directory(void)
{
    char path[PATH_MAX];
    struct dirent *entry;
    struct stat status;
    if (lstat(setting.runtime, &status) != 0) return false;
    if (!S_ISDIR(status.st_mode)) return unlink(setting.runtime) == 0;
    DIR *directory = opendir(setting.runtime);
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", setting.runtime, entry->d_name);
        if (unlink(path) != 0) rmdir(path);
    }
    if (directory != NULL) closedir(directory);
    return rmdir(setting.runtime) == 0;
}

static bool replace_directory(void)
{
    if (!remove_directory()) return false;
    switch (below(4)) {
    case 0: return mknod(setting.runtime, S_IFREG | 0600, 0) == 0;
    case 1: return mknod(setting.runtime, S_IFIFO | 0600, 0) == 0;
    case 2: return symlink("decoy", setting.runtime) == 0; // a directory as it should be, but not the one named
    default: return symlink("nowhere", setting.runtime) == 0;
    }
}

static bool close_directory(void)
{
    static const mode_t modes[] = {0, 0500, 0755, 0777, 0700};
    return chmod(setting.runtime, modes[below(5)]) == 0;
}

static bool read_only;

// Of this mount only: of the file system it would be refused while a file in it is open for writing.
static bool make_read_only(void)
{
    bool made = mount(NULL, setting.run, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0 ||
                mount(NULL, setting.run, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0;
    read_only |= made;
    return made;
}

static bool make_writable(void)
{
    read_only = false;
    return mount(NULL, setting.run, NULL, MS_REMOUNT | MS_BIND, NULL) == 0 &&
           mount(NULL, setting.run, NULL, MS_REMOUNT, NULL) == 0;
}

void damage_undo(void)
{
    if (read_only) make_writable();
    let_go(true);
    free_space();
    free_names();
    remove_directory();
    char log[PATH_MAX];
    snprintf(log, sizeof log, "%s/log", setting.run);
    if (unlink(log) != 0) rmdir(log);
    mkdir(setting.runtime, 0700);
    char decoy[PATH_MAX];
    snprintf(decoy, sizeof decoy, "%s/decoy", setting.run);
    mkdir(decoy, 0700);
}

// The directory is what it was, with the files that are left.
static bool mend(void)
{
    struct stat status;
    if (read_only) make_writable();
    free_space();
    free_names();
    if (lstat(setting.runtime, &status) == 0 && !S_ISDIR(status.st_mode)) unlink(setting.runtime);
    mkdir(setting.runtime, 0700);
    return chmod(setting.runtime, 0700) == 0;
}

static const struct {
    const char *name;
    bool (*run)(void);
    unsigned weight;
} list[] = {
    {"cut-to-nothing", cut_to_nothing, 6}, {"cut", cut_somewhere, 6}, {"cut-at-a-page", cut_at_a_page, 6},
    {"lengthen", lengthen, 2}, {"remove", remove_one, 2}, {"directory", make_directory, 1}, {"fifo", make_fifo, 2},
    {"log-fifo", make_log_fifo, 4},
    {"socket", make_socket, 1}, {"empty", make_empty, 2}, {"other-size", make_other_size, 2}, {"link", make_link, 1},
    {"mode", change_mode, 2}, {"owner", change_owner, 1}, {"scribble", scribble, 8}, {"punch", punch, 5},
    {"flock", lock_whole, 2}, {"posix-lock", lock_posix, 2}, {"ofd-lock", lock_ofd, 2}, {"lease", lease, 1},
    {"lease-new", lease_new, 2}, {"fill", fill, 5}, {"fill-but-some", fill_but_some, 4}, {"free", free_space, 6},
    {"fill-names", fill_names, 1}, {"free-names", free_names, 2}, {"no-directory", remove_directory, 1},
    {"other-for-directory", replace_directory, 1}, {"close-directory", close_directory, 1},
    {"read-only", make_read_only, 1}, {"writable", make_writable, 2}, {"mend", mend, 12},
};

enum { COUNT = (int)(sizeof list / sizeof *list) };
_Static_assert(sizeof list / sizeof *list <= MOST_DAMAGES, "counts for all of them");

const char *damage_name(int index)
{
    return index < COUNT ? list[index].name : NULL;
}

void damage_for_ever(uint64_t seed, struct damages *damages)
{
    unsigned total = 0;
    state = seed;
    signal(SIGIO, SIG_IGN); // a lease is to be given back: in a while
    for (int index = 0; index < COUNT; index++) total += list[index].weight;
    for (;;) {
        // The files are laid out anew by whoever starts now, and used for a while.
        damage_undo();
        usleep((useconds_t)(20000 + below(400000)));
        for (uint64_t rest = 1 + below(40); rest > 0; rest--) {
            uint64_t left = below(total);
            int index = 0;
            while (left >= list[index].weight) left -= list[index++].weight;
            if (list[index].run()) damages->done[index]++;
            else damages->failed[index]++;
            let_go(false);
            usleep((useconds_t)(below(5) == 0 ? below(80000) : below(8000)));
        }
    }
}

// What is learnt of a file, its mount and its file system may change afterwards, by this program's own hand or
// another's. DIRECTORY lies on the file system that the case is about; MOUNT_POINT names an empty directory that the
// program may mount on.
#include <dirent.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "transcript.h"

#define HUGE (2ul << 20)
static unsigned char buffer[1 << 20];

static void calls(int fd, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        long at = 4096l * (i % 200);
        if (pread(fd, buffer, 4096, at) != 4096)
            say("  pread at %ld is short", at);
        if (pwrite(fd, buffer, 4096, at) != 4096)
            say("  pwrite at %ld is short", at);
    }
}

// Another process, without the shim, cuts the file to 5,000 bytes and has it in a huge page.
static void cut_and_collapse(const char *path, bool collapse)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        long fd = raw(SYS_openat, AT_FDCWD, (long)path, O_RDWR, 0, 0, 0);
        raw(SYS_ftruncate, fd, 0, 0, 0, 0, 0);
        raw(SYS_pwrite64, fd, (long)buffer, 5000, 0, 0, 0);
        if (collapse) {
            char *some = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            char *at = (char *)(((size_t)some + HUGE - 1) & ~(HUGE - 1));
            at = mmap(at, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, (int)fd, 0);
            *(volatile char *)at;
            madvise(at, HUGE, 25 /* MADV_COLLAPSE */);
        }
        raw(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    }
    waitpid(child, NULL, 0);
}

static void beyond_the_cut(const char *path, int fd, bool collapse)
{
    cut_and_collapse(path, collapse);
    for (int i = 0; i < 5; i++)
        CALL(pread(fd, buffer, 1024, 0));
    CALL(pread(fd, buffer, 4096, 65536));
    CALL(pread(fd, buffer, 4096, 4096));
    CALL(pwrite(fd, buffer, 1024, 0));
    CALL(pwrite(fd, buffer, 4096, 65536 * 4));
    truth(path);
    CALL(pwrite(fd, buffer, 4096, 65536 * 4));
    truth(path);
}

static void collapsed(void)
{
    for (int round = 0; round < 3; round++) {
        make_file("file", 1, (1 << 20) + 100000);
        int fd = open("file", O_RDWR);
        calls(fd, 300);
        beyond_the_cut("file", fd, true);
        close(fd);
    }
}

static const char *mount_point(void) { return getenv("MOUNT_POINT") != NULL ? getenv("MOUNT_POINT") : "/nonexistent"; }

static const char *on_mount(const char *name)
{
    static char path[2][PATH_MAX];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", mount_point(), name);
    return path[turn];
}

static void mount_tmpfs(const char *options, unsigned long flags)
{
    say("mount %s: %d", options, mount("pmemshim-test", mount_point(), "tmpfs", flags, options));
}

static void remounted(void)
{
    mount_tmpfs("size=64m,huge=never", 0);
    make_file(on_mount("one"), 1, 1 << 20);
    int fd = open(on_mount("one"), O_RDWR);
    calls(fd, 300);
    close(fd);
    mount_tmpfs("size=64m,huge=always", MS_REMOUNT);
    make_file(on_mount("two"), 1, (1 << 20) + 100000);
    fd = open(on_mount("two"), O_RDWR);
    calls(fd, 300);
    beyond_the_cut(on_mount("two"), fd, false);
    close(fd);
    say("umount %d", umount2(mount_point(), MNT_DETACH));
}

// The named mount goes, and the kernel gives its number to one that nobody has named.
static void numbers_used_again(void)
{
    const char *places[2] = {mount_point(), getenv("OTHER")};
    for (int i = 0; i < 12; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/file", places[i % 2]);
        if (mount("pmemshim-test", places[i % 2], "tmpfs", 0, "size=8m") != 0)
            die("mount");
        make_file(path, 1, 1 << 20);
        int fd = open(path, O_RDWR);
        calls(fd, 60);
        truth(path);
        close(fd);
        if (umount2(places[i % 2], 0) != 0)
            die("umount");
    }
}

static void sealed(void)
{
    int fd = memfd_create("x", MFD_ALLOW_SEALING), other = memfd_create("y", MFD_ALLOW_SEALING);
    for (int i = 0; i < 4; i++)
        if (pwrite(fd, buffer, sizeof buffer, (long)i << 20) < 0 ||
            pwrite(other, buffer, sizeof buffer, (long)i << 20) < 0)
            die("pwrite");
    calls(fd, 800);
    calls(other, 800);
    CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    int done = 0;
    for (int i = 0; i < 100; i++)
        done += pwrite(fd, buffer, 4096, (i % 200) * 4096l) == 4096;
    say("writes after F_SEAL_FUTURE_WRITE: %d", done);
    CALL(fcntl(other, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
    done = 0;
    for (int i = 0; i < 100; i++)
        done += pwrite(other, buffer, 4096, (i % 200) * 4096l) == 4096;
    say("writes after F_SEAL_WRITE: %d", done);
    // A file without a name that was made in the directory is served as any other.
    int unnamed = open(".", O_TMPFILE | O_RDWR, 0600);
    if (unnamed >= 0 && pwrite(unnamed, buffer, sizeof buffer, 0) == sizeof buffer)
        calls(unnamed, 200);
}

// Where the file's byte `offset` lies on the device, and whether what was acknowledged is there.
static int not_on_the_device(int fd, const char *device)
{
    struct {
        struct fiemap head;
        struct fiemap_extent extents[4];
    } map = {.head = {.fm_start = 10 * 4096, .fm_length = 4096, .fm_extent_count = 4}};
    if (ioctl(fd, FS_IOC_FIEMAP, &map) != 0)
        die("FIEMAP");
    long place = (long)(map.extents[0].fe_physical + 10 * 4096 - map.extents[0].fe_logical);
    int raw_device = (int)raw(SYS_openat, AT_FDCWD, (long)device, O_RDONLY | O_DIRECT, 0, 0, 0), lost = 0;
    unsigned char *read_back = aligned_alloc(4096, 4096);
    for (int i = 0; i < 40; i++) {
        memset(buffer, 'a' + i % 26, 4096);
        buffer[0] = (unsigned char)i;
        if (pwrite(fd, buffer, 4096, 11 * 4096) != 4096 || pwrite(fd, buffer, 4096, 10 * 4096) != 4096)
            die("pwrite");
        if (raw(SYS_pread64, raw_device, (long)read_back, 4096, place, 0, 0) != 4096)
            die("device");
        lost += memcmp(read_back, buffer, 4096) != 0;
    }
    raw(SYS_close, raw_device, 0, 0, 0, 0, 0);
    return lost;
}

static void synchronous(void)
{
    const char *device = getenv("DEVICE");
    int directory = open(".", O_RDONLY), flags = 0, none = 0;
    make_file("file", 1, 1 << 20);
    int fd = open("file", O_RDWR);
    if (ioctl(fd, FS_IOC_GETFLAGS, &none) != 0)
        die("FS_IOC_GETFLAGS");
    flags = none | FS_SYNC_FL;
    fsync(fd);
    calls(fd, 400);
    // chattr +S after the file has been learnt, by another process.
    IN_CHILD(raw(SYS_ioctl, raw(SYS_openat, AT_FDCWD, (long)"file", O_RDONLY, 0, 0, 0), FS_IOC_SETFLAGS, (long)&flags,
                 0, 0, 0));
    usleep(30000);
    say("chattr +S while in use: %d not on the device", not_on_the_device(fd, device));
    ioctl(fd, FS_IOC_SETFLAGS, &none);
    close(fd);
    fd = open("file", O_RDWR);
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
    calls(fd, 400);
    say("chattr +S before: %d not on the device", not_on_the_device(fd, device));
    ioctl(fd, FS_IOC_SETFLAGS, &none);
    close(fd);
    // The whole mount, while the file is in use.
    fd = open("file", O_RDWR);
    calls(fd, 400);
    char parent[PATH_MAX];
    if (realpath(mount_point(), parent) == NULL || mount(NULL, parent, NULL, MS_REMOUNT | MS_SYNCHRONOUS, NULL) != 0)
        die("remount");
    usleep(30000);
    say("remounted sync while in use: %d not on the device", not_on_the_device(fd, device));
    if (mount(NULL, parent, NULL, MS_REMOUNT, NULL) != 0)
        die("remount");
    close(fd);
    close(directory);
}

// After a write has been refused nothing is served any more.
static void shut_down(void)
{
    make_file("file", 1, 1 << 20);
    int fd = open("file", O_RDWR), directory = open(".", O_RDONLY), how = 2, writes = 0, reads = 0;
    fsync(fd);
    calls(fd, 800);
    if (ioctl(directory, _IOR('X', 125, unsigned), &how) != 0)
        die("FS_IOC_SHUTDOWN");
    usleep(30000);
    for (int i = 0; i < 500; i++)
        writes += pwrite(fd, buffer, 4096, (i % 200) * 4096l) == 4096;
    for (int i = 0; i < 500; i++)
        reads += pread(fd, buffer, 4096, (i % 200) * 4096l) == 4096;
    say("acknowledged after the shutdown: %d writes, then %d reads", writes, reads);
}

// An overlay whose layers lie on the file system of the case: what it says of its files, and shows in their mappings,
// is the layer's, and another process's first write puts another file behind the name.
static void overlaid(void)
{
    char options[4 * PATH_MAX], here[PATH_MAX];
    if (getcwd(here, sizeof here) == NULL || mkdir("lower", 0755) != 0 || mkdir("upper", 0755) != 0
        || mkdir("work", 0755) != 0 || mkdir("merged", 0755) != 0)
        die("directories");
    make_file("lower/file", 1, 1 << 20);
    make_file("lower/other", 2, 1 << 20);
    snprintf(options, sizeof options, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", here, here, here);
    if (mount("overlay", "merged", "overlay", 0, options) != 0)
        die("overlay");
    int fd = open("merged/file", O_RDONLY);
    char *map = mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0);
    for (int i = 0; i < 400; i++)
        if (pread(fd, buffer, 4096, 4096l * (i % 200)) != 4096)
            die("pread");
    // Copied up by another process, while the file is in use here.
    memset(buffer, 77, sizeof buffer);
    IN_CHILD({
        long other = raw(SYS_openat, AT_FDCWD, (long)"merged/file", O_RDWR, 0, 0, 0);
        CALL(raw(SYS_pwrite64, other, (long)buffer, 300000, 4096, 0, 0));
    });
    for (int i = 0; i < 3; i++) {
        say_bytes("read", buffer, CALL(pread(fd, buffer, 1 << 20, 0)));
        say_bytes("mapped", map, 1 << 20);
    }
    // Copied up by this process, and mapped by it for writing.
    int reader = open("merged/other", O_RDONLY), writer = open("merged/other", O_RDWR);
    calls(writer, 400);
    for (int i = 0; i < 200; i++) {
        memset(buffer, i, 5000);
        if (pwrite(writer, buffer, 5000, 5000l * i) != 5000 || pread(reader, buffer, 5000, 5000l * i) != 5000
            || buffer[4999] != i)
            die("other bytes");
    }
    char *shared = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
    memset(shared + 8192, 5, 4096);
    CALL(msync(shared + 8192, 4096, MS_SYNC));
    say_bytes("read", buffer, CALL(pread(reader, buffer, 1 << 20, 0)));
    CALL(fdatasync(writer));
    truth("merged/file");
    truth("merged/other");
    truth("upper/file");
    truth("upper/other");
    truth("lower/file");
    truth("lower/other");
    munmap(map, 1 << 20);
    munmap(shared, 1 << 20);
    close(fd);
    close(reader);
    close(writer);
    CALL(umount2("merged", 0));
    // A layer by itself is a file as any other.
    fd = open("upper/other", O_RDWR);
    calls(fd, 400);
    truth("upper/other");
}

PROGRAM({"collapsed", collapsed}, {"remounted", remounted}, {"numbers-used-again", numbers_used_again},
        {"sealed", sealed}, {"synchronous", synchronous}, {"shut-down", shut_down}, {"overlaid", overlaid})

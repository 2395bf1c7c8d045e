// Devices that are full, read-only, broken. Needs root: most cases make a file system of their own in an image file, in
// the directory they are given, and break the image under it. (A device mapper table would be the usual way to simulate
// media errors; the kernels we test on have no device mapper.)
#include <linux/fs.h>
#include <linux/fiemap.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#include "transcript.h"

static unsigned char bytes[1 << 16], written[1 << 16];
static int fd;

static void tick(void) { usleep(12000); }

#define RUN(...)                                                                                                       \
    do {                                                                                                               \
        int status_ = unshimmed((char *const[]){__VA_ARGS__, NULL});                                                   \
        say("  %s exited with %d", #__VA_ARGS__, WIFEXITED(status_) ? WEXITSTATUS(status_) : -1);                      \
    } while (0)

#define SHELL(text) RUN("/bin/sh", "-c", text)

static void must(const char *text)
{
    if (unshimmed((char *const[]){"/bin/sh", "-c", (char *)text, NULL}) != 0) {
        fprintf(stderr, "cannot: %s\n", text);
        _exit(98);
    }
}

// Reads and overwrites of which most are served, and where the file offset is afterwards.
static void use(int tag)
{
    for (int i = 0; i < 4; i++) {
        long at = 200000l * i;
        say_origin("pread", bytes, CALL(pread(fd, bytes, 9000, at)), at);
        fill(written, tag, at, 9000);
        CALL(pwrite(fd, written, 9000, at));
        CALL(pwrite(fd, written, 9000, at));
        CALL(lseek(fd, at, SEEK_SET));
        say_origin("read", bytes, CALL(read(fd, bytes, 9000)), at);
        CALL(write(fd, written, 9000));
        OFFSET(fd);
    }
}

// Filling somebody else's file system would take the disk or the memory of the whole machine.
static void fill_may_happen(void)
{
    struct statfs status;
    if (statfs(".", &status) != 0 || (unsigned long)status.f_blocks * (unsigned long)status.f_bsize > 64ul << 20) {
        fprintf(stderr, "only on a file system of at most 64 MiB\n");
        _exit(2);
    }
}

// Another program punches 64 KiB out of "file" at an offset in bytes, and takes all space that is left. A huge page
// that somebody holds in that moment is not split, and khugepaged fills holes in what is mapped on a tmpfs of huge
// pages (docs/limitations.md): then there is no hole, and it is made once more. On a full file system nothing fills it.
static void punch_and_take_the_space(const char *at)
{
    char command[PATH_MAX + 400];
    snprintf(command, sizeof command,
             "whole=$(($(stat -c %%s file) / 512)); for i in $(seq 100); do "
             "%s/modify punch file %s 65536 && sync -f . && "
             "cat /dev/zero >> filler 2> /dev/null; sync -f .; cat /dev/zero >> filler 2> /dev/null; "
             "if [ $(stat -c %%b file) -lt $whole ]; then exit 0; fi; done; exit 1",
             programs_directory, at);
    must(command);
}

// ---- full -----------------------------------------------------------------------------------------------------
// Another program makes a hole in the middle of what is served, and takes the space. Only on a file system of one's
// own.
static void hole_made_by_another(void)
{
    static const long holes[] = {1 << 20, (1 << 20) + 4096 * 5, 3 << 20};
    fill_may_happen();
    fd = open_file("file", 1, O_RDWR);
    for (size_t i = 0; i < 3; i++) {
        char at[24];
        snprintf(at, sizeof at, "%ld", holes[i]);
        use(2);
        // Its pages are in the page tables.
        for (int j = 0; j < 4; j++)
            if (pread(fd, bytes, sizeof bytes, holes[i] - 16384) != sizeof bytes ||
                pwrite(fd, bytes, sizeof bytes, holes[i] - 16384) != sizeof bytes)
                die("pread");
        punch_and_take_the_space(at);
        pwrite(fd, written, 4096, 0); // takes the tick
        say("-- full, with a hole");
        CALL(pwrite(fd, written, 12288, holes[i] - 4096));
        CALL(pwrite(fd, written, 12288, holes[i] - 4096));
        CALL(lseek(fd, holes[i] - 8192, SEEK_SET));
        CALL(write(fd, written, 16384));
        OFFSET(fd);
        CALL(pwrite(fd, written, 8192, holes[i] + 8192));
        struct iovec vector[] = {{written, 4096}, {written, 8192}};
        CALL(pwritev(fd, vector, 2, holes[i] - 4096));
        CALL(pwrite(fd, written, 4096, holes[i] - 8192));
        say_bytes("pread", bytes, CALL(pread(fd, bytes, 32768, holes[i] - 8192)));
        must("rm filler && sync -f .");
        CALL(pwrite(fd, written, 12288, holes[i] - 4096));
        make_file("file", 1, FILE_SIZE);
        tick();
    }
    truth("file");
}

// ---- read-only ------------------------------------------------------------------------------------------------
// The directory's own mount; a remount is refused while something is open for writing, and a window must not be that.
static void remount(const char *how)
{
    char command[PATH_MAX + 64];
    snprintf(command, sizeof command, "mount -o remount,%s \"$(dirname \"$PWD\")\" 2> /dev/null", how);
    int status = unshimmed((char *const[]){"/bin/sh", "-c", command, NULL});
    say("remount,%s: %s", how, status == 0 ? "done" : "refused");
    tick();
}

static void remounted_read_only(void)
{
    fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < 3; i++) {
        use(2 + i);
        int reader = OPEN(open("file", O_RDONLY | O_CLOEXEC));
        warm(reader);
        remount("ro");
        use(3 + i);
        CALL(close(fd));
        remount("ro");
        fd = reader;
        use(4 + i);
        CALL(open("file", O_RDWR));
        int another = OPEN(open("file", O_RDONLY | O_CLOEXEC));
        say_bytes("pread", bytes, CALL(pread(another, bytes, 9000, 700000)));
        remount("rw");
        CALL(close(another));
        fd = OPEN(open("file", O_RDWR | O_CLOEXEC));
        CALL(close(reader));
    }
    CALL(close(fd));
    remount("ro"); // nothing is open: nothing may be in the way
    remount("rw");
    truth("file");
}

// ---- file systems of one's own ----------------------------------------------------------------------------------
static void make_own(const char *options)
{
    char command[512];
    snprintf(command, sizeof command,
             "truncate -s 24M image && mkfs.ext4 -q -F -m 0 %s image && mkdir -p own && mount -o loop image own",
             options);
    must(command);
}

static void drop_own(void) { must("umount own && rmdir own && rm image"); }

// What was served and is closed holds the file system no more.
static void unmounted_when_closed(void)
{
    make_own("");
    for (int i = 0; i < 3; i++) {
        fd = open_file("own/file", 1, O_RDWR);
        int reader = OPEN(open("own/file", O_RDONLY | O_CLOEXEC));
        warm(reader);
        use(2);
        SHELL("umount own 2> /dev/null");
        CALL(close(fd));
        say_bytes("pread", bytes, CALL(pread(reader, bytes, 9000, 500000)));
        SHELL("umount own 2> /dev/null");
        CALL(close(reader));
        SHELL("umount own");
        must("mount -o loop image own");
    }
    drop_own();
}

// As after a fatal error of the file system: open for writing, and read-only all the same.
static void aborted_file_system(void)
{
    make_own("");
    fd = open_file("own/file", 1, O_RDWR);
    CALL(fsync(fd));
    use(2);
    CALL(fsync(fd));
    must("mount -o remount,abort own");
    tick();
    use(3);
    CALL(ftruncate(fd, 100));
    use(4);
    CALL(close(fd));
    CALL(open("own/file", O_RDWR));
    drop_own();
}

// ---- broken ---------------------------------------------------------------------------------------------------
static long physical(const char *path, long at)
{
    struct {
        struct fiemap map;
        struct fiemap_extent extent;
    } request = {.map = {.fm_start = (unsigned long)at, .fm_length = 4096, .fm_extent_count = 1}};
    long file = raw(SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0, 0, 0);
    if (raw(SYS_ioctl, file, (long)FS_IOC_FIEMAP, (long)&request, 0, 0, 0) != 0 || request.map.fm_mapped_extents != 1)
        die("FIEMAP");
    raw(SYS_close, file, 0, 0, 0, 0, 0);
    return (long)(request.extent.fe_physical + ((unsigned long)at - request.extent.fe_logical));
}

static void broken_media(void)
{
    // Without a journal, and with all metadata in front: what is cut off the image is data.
    make_own("-O ^has_journal,^resize_inode");
    make_file("own/file", 1, FILE_SIZE);
    int pages = OPEN(open("own/file", O_RDWR | O_CLOEXEC));
    fsync(pages);
    posix_fadvise(pages, 0, 0, POSIX_FADV_DONTNEED);
    close(pages);
    const long bad = 4 << 20;
    char command[256];
    snprintf(command, sizeof command, "cp image whole && truncate -s %ld image", physical("own/file", bad));
    must("sync -f own");
    must(command);
    fd = OPEN(open("own/file", O_RDWR | O_CLOEXEC));
    warm(fd);
    use(1);
    for (int i = 0; i < 3; i++) {
        say("-- round %d", i);
        // What is not broken.
        say_origin("pread", bytes, CALL(pread(fd, bytes, 9000, 3000000 + i * 9000)), 3000000 + i * 9000);
        // What is.
        CALL(pread(fd, bytes, 9000, bad + (1 << 20)));
        CALL(pread(fd, bytes, 100, bad + (1 << 20) + 50000));
        CALL(lseek(fd, bad + (1 << 20) + 123, SEEK_SET));
        CALL(read(fd, bytes, 9000));
        OFFSET(fd);
        struct iovec vector[] = {{bytes, 1000}, {bytes + 1000, 9000}};
        CALL(preadv(fd, vector, 2, bad + (1 << 20)));
        CALL(readv(fd, vector, 2));
        OFFSET(fd);
        // A part of a block has to be read before it is written.
        pwrite(fd, written, 4096, 8192);
        CALL(pwrite(fd, written, 1000, bad + (1 << 20) + 8200));
        CALL(lseek(fd, bad + (1 << 20) + 8200, SEEK_SET));
        pwrite(fd, written, 4096, 8192);
        CALL(write(fd, written, 1000));
        OFFSET(fd);
        say_origin("pread", bytes, CALL(pread(fd, bytes, 9000, 3500000)), 3500000);
    }
    // Once it is known nobody need run into it again.
    for (int i = 0; i < 200; i++)
        if (pread(fd, bytes, 4096, bad + (1 << 20)) != -1 || errno != EIO)
            die("a bad page was read");
    IN_CHILD({
        // Nobody but the kernel's calls may see the error: no signal, also not one that would only be seen if handled.
        signal(SIGBUS, SIG_DFL);
        CALL(pread(fd, bytes, 9000, bad + (1 << 20) + 200000));
    });
    snprintf(command, sizeof command,
             "dd if=whole of=image bs=4k skip=%ld seek=%ld conv=notrunc status=none && rm whole",
             physical("own/file", bad) / 4096, physical("own/file", bad) / 4096);
    must(command);
    tick();
    say("-- mended");
    say_origin("pread", bytes, CALL(pread(fd, bytes, 9000, bad + (1 << 20))), bad + (1 << 20));
    use(1);
    say_origin("pread", bytes, CALL(pread(fd, bytes, 65536, bad + 65536)), bad + 65536);
    CALL(fsync(fd));
    CALL(close(fd));
    drop_own();
}

// The device takes no more: what is in the page cache cannot be written back, and fsync says so, once to each.
static void writeback_fails(void)
{
    fill_may_happen();
    make_own("-O ^has_journal,^resize_inode");
    fd = open("own/file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    CALL(posix_fallocate(fd, 0, 8 << 20));
    CALL(fsync(fd));
    int other = OPEN(open("own/file", O_RDWR | O_CLOEXEC));
    warm(fd);
    CALL(fsync(fd));
    must("sync -f own; cat /dev/zero > filler 2> /dev/null || sync -f .; cat /dev/zero >> filler 2> /dev/null || true");
    fill(written, 3, 0, sizeof written);
    for (int i = 0; i < 2; i++) {
        say("-- full");
        for (int j = 0; j < 4; j++)
            CALL(pwrite(fd, written, sizeof written, (2 << 20) + (i * 4 + j) * 65536));
        CALL(fsync(fd));
        CALL(fsync(fd));
        CALL(fdatasync(other));
        CALL(fdatasync(other));
        say_origin("pread", bytes, CALL(pread(fd, bytes, 100, 2 << 20)), 0);
    }
    must("rm filler && sync -f .");
    for (int j = 0; j < 4; j++)
        CALL(pwrite(fd, written, sizeof written, (2 << 20) + j * 65536));
    CALL(fsync(fd));
    CALL(fdatasync(other));
    CALL(close(other));
    CALL(close(fd));
    drop_own();
}

PROGRAM({"hole-made-by-another", hole_made_by_another}, {"remounted-read-only", remounted_read_only},
        {"unmounted-when-closed", unmounted_when_closed}, {"aborted-file-system", aborted_file_system},
        {"broken-media", broken_media}, {"writeback-fails", writeback_fails})

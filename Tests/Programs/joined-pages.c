// A tmpfs gets huge=always while files on it are in use. Linux 6.14 and later then keep what one call writes in one
// piece of 16 KiB to 1 MiB, and map all of it with the first page that is touched, beyond the end of the file as well.
// MOUNT_POINT names an empty directory that the program may mount on.
#include <sys/mount.h>

#include "transcript.h"

static unsigned char buffer[1 << 20];
static char path[PATH_MAX];

static void mount_tmpfs(const char *options, unsigned long flags)
{
    say("mount %s: %d", options, mount("pmemshim-test", getenv("MOUNT_POINT"), "tmpfs", flags, options));
}

static void calls(int fd, long size)
{
    for (int i = 0; i < 300; i++) {
        long at = 4096l * (i % 12);
        if (pread(fd, buffer, 4096, at) != 4096)
            say("  pread at %ld is short", at);
        if (pwrite(fd, buffer, 4096, at) != 4096)
            say("  pwrite at %ld is short", at);
        if (pread(fd, buffer, 4096, size - 12000) != 4096)
            say("  pread near the end is short");
    }
}

// Another process, without the shim, cuts the file, and makes it longer again if there is more.
static void cut_and_extend(long first, size_t more)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        long fd = raw(SYS_openat, AT_FDCWD, (long)path, O_RDWR, 0, 0, 0);
        raw(SYS_ftruncate, fd, first, 0, 0, 0, 0);
        if (more > 0)
            raw(SYS_pwrite64, fd, (long)buffer, (long)more, first, 0, 0);
        raw(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    }
    waitpid(child, NULL, 0);
}

static void extended(void)
{
    static const struct { long size, first; size_t more; } cases[] = {
        {259413, 50503, 139996}, {1000000, 50503, 200001}, {700001, 131072, 262145}, {259413, 50503, 200000}};
    snprintf(path, sizeof path, "%s/file", getenv("MOUNT_POINT"));
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++)
        for (int writes = 0; writes < 2; writes++) {
            long end = cases[each].first + (long)cases[each].more, old = cases[each].size;
            mount_tmpfs("size=64m,huge=never", 0);
            make_file(path, 1, (size_t)old);
            int fd = open(path, O_RDWR);
            calls(fd, old);
            mount_tmpfs("size=64m,huge=always", MS_REMOUNT);
            cut_and_extend(cases[each].first, cases[each].more);
            // The piece that the end lies in is touched, and what is known of the size is still the old one.
            long last = (end - 4097) & ~4095l;
            if (writes) {
                CALL(pwrite(fd, buffer, 4096, last));
                CALL(pwrite(fd, buffer, 4096, last));
            } else {
                CALL(pread(fd, buffer, 4096, last));
            }
            CALL(pread(fd, buffer, 4096, (end + 8191) & ~4095l));
            CALL(pread(fd, buffer, 20000, end - 5000));
            CALL(pwrite(fd, buffer, 4096, (end + 8191) & ~4095l));
            CALL(pread(fd, buffer, 4096, old - 20000));
            truth(path);
            close(fd);
            say("umount %d", umount2(getenv("MOUNT_POINT"), MNT_DETACH));
        }
}

// Another process cuts the file, and this one makes it longer again, but not as long as it was: by one byte, whose
// piece holds the old end. That page has been looked at before, or not.
static void regrown(void)
{
    static const struct { long size, cut, byte; } cases[] = {
        {155696, 57344, 147456}, {155696, 57344, 135000}, {1000000, 50503, 950000}, {259413, 4096, 200704}
    };
    snprintf(path, sizeof path, "%s/file", getenv("MOUNT_POINT"));
    for (size_t each = 0; each < sizeof cases / sizeof *cases; each++)
        for (int way = 0; way < 4; way++) {
            mount_tmpfs("size=64m,huge=never", 0);
            make_file(path, 1, (size_t)cases[each].size);
            int fd = open(path, O_RDWR), other = open(path, O_RDWR);
            calls(fd, cases[each].size);
            if (way & 1)
                CALL(pread(fd, buffer, 256, cases[each].size - 48));
            cut_and_extend(cases[each].cut, 0);
            mount_tmpfs("size=64m,huge=always", MS_REMOUNT);
            CALL(pwrite(other, buffer, 1, cases[each].byte));
            if (way & 2)
                CALL(pwrite(fd, buffer, 4096, (cases[each].size & ~4095l) - 4096));
            for (long at = 0; at < cases[each].size; at += 4096) {
                ssize_t moved = pread(fd, buffer, 4096, at);
                if (moved != 4096)
                    say("  pread at %ld: %zd", at, moved);
            }
            truth(path);
            close(other);
            close(fd);
            say("umount %d", umount2(getenv("MOUNT_POINT"), MNT_DETACH));
        }
}

PROGRAM({"extended", extended}, {"regrown", regrown})

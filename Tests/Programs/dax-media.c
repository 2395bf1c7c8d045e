// Memory errors on a DAX file, natively and under the shim: the same transcript.
//
//   dax-media prepare FILE           makes the file and prints the first 512-byte sector of its page 10 on the device
//   dax-media look FILE NAME         NAME: loads and calls around page 10, which is bad by now; then overwrites it
//   dax-media inject FILE            the kernel is told of an error in page 10 while this process reads the file
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L
static char page[16 * PAGE];

static void said(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
    fflush(stdout);
}

static int prepare(const char *name)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    memset(page, 5, sizeof page);
    for (int i = 0; i < 64; i++)
        pwrite(fd, page, PAGE, i * PAGE);
    fsync(fd);
    uint64_t room[64] = {0};
    struct fiemap *map = (struct fiemap *)room;
    map->fm_start = 10 * PAGE;
    map->fm_length = PAGE;
    map->fm_extent_count = 1;
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0 || map->fm_mapped_extents != 1)
        return 1;
    const struct fiemap_extent *e = &map->fm_extents[0];
    printf("%llu\n", (unsigned long long)(e->fe_physical + 10 * PAGE - e->fe_logical) / 512);
    return 0;
}

static int look(const char *name)
{
    int fd = open(name, O_RDWR);
    char what[64];
    for (int i = 0; i < 64; i++)
        if (i < 8 || i > 12)
            pread(fd, page, PAGE, i * PAGE);
    for (int i = 8; i < 13; i++) {
        snprintf(what, sizeof what, "pread of page %d", i);
        said(what, pread(fd, page, PAGE, i * PAGE));
    }
    said("pread of pages 8 to 11", pread(fd, page, 4 * PAGE, 8 * PAGE));
    said("pread of 100 bytes of it", pread(fd, page, 100, 10 * PAGE + 7));
    said("lseek", lseek(fd, 9 * PAGE, SEEK_SET));
    said("read of pages 9 and 10", read(fd, page, 2 * PAGE));
    said("offset", lseek(fd, 0, SEEK_CUR));
    memset(page, 6, PAGE);
    said("pwrite of the page before", pwrite(fd, page, PAGE, 9 * PAGE));
    said("pwrite of it", pwrite(fd, page, PAGE, 10 * PAGE));
    said("pwrite of it once more", pwrite(fd, page, PAGE, 10 * PAGE));
    said("pread of it", pread(fd, page, PAGE, 10 * PAGE));
    said("fdatasync", fdatasync(fd));
    return 0;
}

static int inject(const char *name)
{
    int fd = open(name, O_RDWR), status;
    for (int i = 0; i < 300; i++)
        pread(fd, page, PAGE, i % 60 * PAGE);
    pid_t child = fork();
    if (child == 0) {
        char *map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        *(volatile char *)(map + 10 * PAGE);
        madvise(map + 10 * PAGE, PAGE, 100 /* MADV_HWPOISON */);
        _exit(0);
    }
    waitpid(child, &status, 0);
    said("the one who has it mapped: signal", WTERMSIG(status));
    said("this one lives, pread", pread(fd, page, PAGE, 9 * PAGE));
    return 0;
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "prepare") == 0)
        return prepare(arguments[2]);
    if (count == 3 && strcmp(arguments[1], "look") == 0)
        return look(arguments[2]);
    if (count == 3 && strcmp(arguments[1], "inject") == 0)
        return inject(arguments[2]);
    return 2;
}

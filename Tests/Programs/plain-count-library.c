// What pmemshim must never be: a library that counts in a file of its runtime directory by plain stores, and lays the
// file out by ftruncate alone. `vandal` has to find that such a library kills the programs it is in.
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile long *figures;

static void lay_out(void)
{
    static int looked;
    char path[PATH_MAX];
    const char *directory = getenv("PMEMSHIM_RUNTIME_DIR");
    if (looked++ || directory == NULL)
        return;
    snprintf(path, sizeof path, "%s/stats", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0600);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || ftruncate(fd, 4096) != 0)
        return;
    void *address = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (address != MAP_FAILED)
        figures = address;
}

__attribute__((visibility("default"))) ssize_t pread(int fd, void *bytes, size_t count, off_t offset)
{
    static ssize_t (*next)(int, void *, size_t, off_t);
    if (next == NULL)
        next = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    lay_out();
    if (figures != NULL)
        ++*figures;
    return next(fd, bytes, count, offset);
}

// Many files, and enormous ones: what they leave a program of mappings, memory and address space.
#include <sys/resource.h>

#include "transcript.h"

static char bytes[PAGE];

static long lines_of(const char *path)
{
    static char text[1 << 16];
    long fd = raw(SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0, 0, 0), lines = 0, count;
    while ((count = raw(SYS_read, fd, (long)text, sizeof text, 0, 0, 0)) > 0)
        for (long i = 0; i < count; i++)
            lines += text[i] == '\n';
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    return lines;
}

// A line of /proc/self/status that begins with `name`, in KiB.
static long status_of(const char *name)
{
    static char text[1 << 14];
    long fd = raw(SYS_openat, AT_FDCWD, (long)"/proc/self/status", O_RDONLY, 0, 0, 0);
    long count = raw(SYS_read, fd, (long)text, sizeof text - 1, 0, 0, 0);
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    text[count > 0 ? count : 0] = 0;
    char *at = strstr(text, name);
    return at != NULL ? atol(at + strlen(name)) : 0;
}

#define MANY 10000
static int numbers[MANY];

// All of them in use at once, then closed.
static void opened_used_and_closed(void)
{
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){MANY + 100, MANY + 100});
    char name[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "f%d", i);
        int fd = open(name, O_RDWR | O_CREAT, 0600);
        if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, bytes, PAGE, 0) != PAGE ||
            pwrite(fd, bytes, PAGE, PAGE) != PAGE || close(fd) != 0)
            die(name);
    }
    // What a program has anyway once its first file has been served.
    int first = open("f0", O_RDWR);
    for (int k = 0; k < 40; k++)
        if (pread(first, bytes, 512, 0) != 512)
            die("pread");
    close(first);
    long maps = lines_of("/proc/self/maps"), memory = status_of("VmRSS:") + status_of("VmPTE:");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "f%d", i);
        numbers[i] = open(name, O_RDWR);
        if (numbers[i] < 0)
            die(name);
    }
    long short_reads = 0;
    for (int k = 0; k < 30; k++)
        for (int i = 0; i < MANY; i++)
            short_reads += pread(numbers[i], bytes, 512, 0) != 512;
    for (int i = 0; i < MANY; i++)
        close(numbers[i]);
    say("short reads: %ld", short_reads);
    say("at most 64 mappings left: %d", lines_of("/proc/self/maps") - maps <= 64);
    long left = status_of("VmRSS:") + status_of("VmPTE:") - memory;
    say("at most 4 MiB left: %d", left <= 4096);
    if (left > 4096)
        say("left: %ld KiB", left);
}

// Sparse files cost nothing, and each has room for all a process can address.
static void enormous(void)
{
    unsigned seed = 1;
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%d", i);
        int fd = open(name, O_RDWR | O_CREAT, 0600);
        if (fd < 0 || ftruncate(fd, 1l << 40) != 0)
            die(name);
        for (int k = 0; k < 60; k++) {
            seed = seed * 1103515245 + 12345;
            if (pread(fd, bytes, PAGE, (long)(seed >> 4) << 12) != PAGE)
                die("pread");
        }
    }
    void *room = mmap(NULL, 16l << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    say("room for 16 GiB: %d", room != MAP_FAILED);
    void *block = malloc(300 << 20);
    say("room for 300 MiB: %d", block != NULL);
    // A quarter of what a process can address, and the rest of this one.
    say("at most 40 TiB of address space: %d", status_of("VmSize:") < 40l << 30);
}

PROGRAM({"opened-used-and-closed", opened_used_and_closed}, {"enormous", enormous})

// scribble FILE COMMAND [ARGUMENT]...: runs COMMAND, and until it ends overwrites FILE every 10 ms, as soon as there is
// one: pieces of what it holds with random bytes, single words so that they still count, and now and then it is cut
// short and made long again. Page arrays are soft: whoever uses them must not notice. The exit status is COMMAND's.
//
// One thing is left alone: *allocated* is not forged under a tag that counts. A read that believes it fills a hole,
// which differs from a run without the shim in st_blocks (docs/limitations.md), and the exerciser would say so.
#include <signal.h>
#include <time.h>

#include "transcript.h"

enum { ALLOCATED = 2 }; // PS_PAGE_ALLOCATED, in the first byte of a descriptor

static uint64_t state = 1;
static uint64_t any(void) { return state = state * 6364136223846793005u + 1442695040888963407u, state >> 16; }

// Descriptors are 64 bytes, of eight words; the high half of a word says whether it counts.
static void forge(unsigned char *piece, long count)
{
    for (long at = 0; at + 64 <= count; at += 64) {
        uint32_t *words = (uint32_t *)(piece + at);
        switch (any() % 4) {
        case 0: words[0] ^= 1u | 4u | 8u | 1u << 31; break; // page: ready, bad, owned, reserved
        case 1: words[2] ^= 1; break;                       // group
        case 2: words[4] ^= 1; break;                       // section
        default: words[10] = words[12] = ~0u;               // counts
        }
    }
}

static void scribble(int fd, long size)
{
    static unsigned char piece[32768];
    long at = 0;
    // A block device knows no holes.
    bool device = raw(SYS_lseek, fd, 0, SEEK_DATA, 0, 0, 0) == -EINVAL;
    while ((at = device ? (at < size ? at : -1) : raw(SYS_lseek, fd, at, SEEK_DATA, 0, 0, 0)) >= 0) {
        long end = device ? size : raw(SYS_lseek, fd, at, SEEK_HOLE, 0, 0, 0);
        for (int times = 0; times < 8; times++) {
            long from = at + (long)(any() % (uint64_t)(end - at)) / 64 * 64;
            long count = raw(SYS_pread64, fd, (long)piece, (long)sizeof piece, from, 0, 0);
            if (count > end - from)
                count = end - from;
            if (times % 2)
                forge(piece, count);
            else
                for (long i = 0; i < count; i++)
                    piece[i] = (unsigned char)(i % 64 == 0 ? any() & ~ALLOCATED : any());
            raw(SYS_pwrite64, fd, (long)piece, count, from, 0, 0);
        }
        at = end;
    }
    if (any() % 64 == 0) {
        raw(SYS_ftruncate, fd, any() % 2 ? 0 : 4096, 0, 0, 0, 0);
        usleep(1000);
        raw(SYS_ftruncate, fd, size, 0, 0, 0, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    state = (uint64_t)time(NULL);
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    long times = 0;
    int status;
    pid_t ended;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0) {
        long fd = raw(SYS_openat, AT_FDCWD, (long)argv[1], O_RDWR | O_CLOEXEC, 0, 0, 0);
        long size = fd >= 0 ? raw(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0) : 0;
        if (size > 0) {
            scribble((int)fd, size);
            times++;
        }
        if (fd >= 0)
            raw(SYS_close, fd, 0, 0, 0, 0, 0);
        usleep(10000);
    }
    fprintf(stderr, "scribbled %ld times\n", times);
    if (ended != child || WIFSIGNALED(status))
        return 128 + (ended == child ? WTERMSIG(status) : 0);
    return times > 0 ? WEXITSTATUS(status) : 3;
}

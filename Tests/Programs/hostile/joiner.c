// The third one: has the file's pages joined to huge pages while it is cut and extended, and, where the file system is
// its own, changes whether that gives any. Runs without the shim. Nothing of it may be seen by who reads and writes.
#include "board.h"

#include "transcript.h"

#include <stdatomic.h>
#include <sys/mount.h>

#define HUGE (2l << 20)

// For the last of the file, where the end is, more often.
static long some_part(uint64_t *random)
{
    return below(random, 2) ? LONGEST - HUGE : below(random, LONGEST / HUGE) * HUGE;
}

static void set_huge(uint64_t *random, const char *directory)
{
    static const char *const settings[] = {"huge=never", "huge=always", "huge=within_size", "huge=advise",
                                           "huge=always"};
    if (mount(NULL, directory, NULL, MS_REMOUNT, settings[below(random, 5)]) != 0)
        die("remount");
}

void join_until_stopped(struct board *board, const char *path, const char *directory)
{
    uint64_t random = board->seed ^ 0x5851f42d4c957f2dull;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char *room = mmap(NULL, LONGEST + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fd < 0 || room == MAP_FAILED)
        die(path);
    char *all = (char *)(((uintptr_t)room + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
    // What is mapped and advised so is khugepaged's to look at.
    if (mmap(all, LONGEST, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        die("mmap");
    madvise(all, LONGEST, MADV_HUGEPAGE);
    while (!atomic_load(&board->stop)) {
        if (directory != NULL && below(&random, 16) == 0)
            set_huge(&random, directory);
        // By the kernel's own call: where the file is being cut it fails, which is an answer.
        if (madvise(all + some_part(&random), HUGE, 25 /* MADV_COLLAPSE */) == 0)
            board->counts[JOINED]++;
        if (below(&random, 4) == 0)
            usleep((unsigned)below(&random, 500));
    }
    if (directory != NULL && mount(NULL, directory, NULL, MS_REMOUNT, "huge=never") != 0)
        die("remount");
    close(fd);
}

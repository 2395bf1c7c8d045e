// The hostile one: cuts the file and extends it again, at any moment. Runs without the shim.
#include "board.h"

#include "transcript.h"

#include <linux/falloc.h>
#include <sched.h>
#include <stdatomic.h>

static uint64_t bytes[MOST_AT_ONCE / 8];

// Mostly close to the end, so that cutting and extending again takes microseconds.
static long some_size(uint64_t *random)
{
    switch (below(random, 16)) {
    case 0: return 0;
    case 1:
    case 2: return below(random, PAGES) * 4096;
    case 3:
    case 4: return below(random, LONGEST / 8) * 8;
    case 5:
    case 6:
    case 7: return LONGEST - below(random, 64) * 4096;
    default: return LONGEST - below(random, 256 << 10) / 8 * 8;
    }
}

// After a change: at once the next, or time for the other to get used to what is. Short pauses are spun: a sleep may
// last a whole clock tick.
static void pause_a_little(uint64_t *random)
{
    long way = below(random, 64);
    if (way < 2) {
        usleep(1000);
    } else if (way < 16) {
        for (long i = below(random, 3000); i > 0; i--)
            __asm__ volatile("pause");
    } else if (way < 24) {
        sched_yield();
    }
}

// Brings the file from `from` to `to` bytes, with zeros or with bytes of generation `generation`. Now and then it is a
// hole; not often, for the shim leaves files with holes to the kernel.
static void extend(int fd, uint64_t *random, long from, long to, uint32_t generation)
{
    int way = (int)below(random, 64);
    if (way == 0) {
        if (ftruncate(fd, to) != 0)
            die("ftruncate");
    } else if (way < 32 && to - from <= MOST_AT_ONCE) {
        fill_stamps(bytes, 0, generation, from, to - from);
        if (pwrite(fd, bytes, (size_t)(to - from), from) != to - from)
            die("pwrite");
    } else if (fallocate(fd, 0, 0, to) != 0) {
        die("fallocate");
    }
}

void resize_until_stopped(struct board *board, const char *path)
{
    uint64_t random = board->seed ^ 0x9e3779b97f4a7c15ull;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die(path);
    for (uint32_t generation = 1; !atomic_load(&board->stop); generation++) {
        long size = below(&random, 16) == 0 ? some_size(&random) : LONGEST;
        long cut = some_size(&random);
        atomic_fetch_add(&board->changes, 1);
        atomic_store(&board->begun, generation);
        if ((below(&random, 2) ? ftruncate(fd, cut) : truncate(path, cut)) != 0)
            die("truncate");
        for (long page = (cut + 4095) / 4096; page < PAGES; page++)
            atomic_store_explicit(&board->cut[page], generation, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        if (below(&random, 8) == 0)
            pause_a_little(&random);
        struct stat status;
        if (fstat(fd, &status) != 0)
            die("fstat");
        // The other may have extended it meanwhile: its bytes are left alone.
        if (status.st_size <= cut && cut < size)
            extend(fd, &random, cut, size, generation);
        else if (status.st_size > cut && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, status.st_size) != 0)
            die("fallocate");
        atomic_fetch_add(&board->changes, 1);
        board->counts[CHANGES]++;
        pause_a_little(&random);
    }
    close(fd);
}

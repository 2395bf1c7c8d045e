// The one it is done to: reads and writes through libc, which may be the shim's, and judges what it gets by the board
// and by the kernel, which it asks with bare system calls.
#include "board.h"

#include "transcript.h"

#include <stdatomic.h>

static uint64_t got[MOST_AT_ONCE / 8], truth_now[MOST_AT_ONCE / 8], written[MOST_AT_ONCE / 8];
static uint32_t cut_before[PAGES];

// Generation of the last cut that had begun when that write of ours was done.
#define REMEMBERED (1u << 20)
static uint32_t done_in[REMEMBERED];

static struct board *board;
static int fd;
static uint64_t random_state;

// Even and unchanged until `unchanged`: nobody has touched the file between.
static uint64_t look(void) { return atomic_load(&board->changes); }
static bool unchanged(uint64_t before) { return before % 2 == 0 && atomic_load(&board->changes) == before; }

static long kernel_size(void)
{
    struct stat status;
    return raw(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 ? status.st_size : -1;
}

static long kernel_read(uint64_t *words, long count, long at)
{
    return raw(SYS_pread64, fd, (long)words, count, at, 0, 0);
}

static bool must_be_gone(uint64_t word, long position)
{
    uint32_t number = number_of(word), cut = cut_before[position / 4096];
    if (!is_subjects(word))
        return number < cut;
    uint32_t age = atomic_load(&board->sequence) - number;
    return age < REMEMBERED && done_in[number % REMEMBERED] < cut;
}

static void judge_bytes(long at, long count)
{
    bool foreign = false, resurrected = false;
    for (long i = 0; i < count / 8; i++) {
        uint64_t word = got[i];
        long position = at + i * 8;
        if (word == 0)
            continue;
        uint32_t newest = is_subjects(word) ? atomic_load(&board->sequence) : atomic_load(&board->begun);
        if (!is_stamp_of(word, position) || number_of(word) > newest)
            foreign = true;
        else if (must_be_gone(word, position))
            resurrected = true;
    }
    board->counts[FOREIGN] += foreign;
    board->counts[RESURRECTED] += resurrected;
}

static long some_length(void)
{
    switch (below(&random_state, 4)) {
    case 0: return 8 * (1 + below(&random_state, 512));
    case 1: return 8192;
    case 2: return 65536;
    default: return 8 * (1 + below(&random_state, MOST_AT_ONCE / 8));
    }
}

// Anywhere in the file as it is, which leaves no holes; now and then anywhere at all.
static long somewhere(long count)
{
    long room = below(&random_state, 64) == 0 ? LONGEST : kernel_size() & -8;
    // The end is where things happen.
    long from = below(&random_state, 2) && room > 256 << 10 ? room - (256 << 10) : 0;
    long at = from + below(&random_state, (room - from) / 8 + 1) * 8;
    return at < LONGEST - count ? at : LONGEST - count;
}

static void read_once(long at, long count)
{
    int way = (int)below(&random_state, 3);
    for (long page = at / 4096; page <= (at + count - 1) / 4096; page++)
        cut_before[page] = atomic_load_explicit(&board->cut[page], memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t before = look();
    long moved;
    if (way == 0) {
        moved = pread(fd, got, (size_t)count, at);
    } else if (way == 1) {
        long half = count / 16 * 8;
        struct iovec vector[] = {{got, (size_t)half}, {(char *)got + half, (size_t)(count - half)}};
        moved = preadv(fd, vector, 2, at);
    } else {
        lseek(fd, at, SEEK_SET);
        moved = read(fd, got, (size_t)count);
        board->counts[WRONG_OFFSET] += raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0) != at + (moved > 0 ? moved : 0);
    }
    if (moved < 0 || moved > count) {
        board->counts[ERRORS]++;
        return;
    }
    judge_bytes(at, moved);
    if (!unchanged(before)) {
        board->counts[UNCERTAIN]++;
        return;
    }
    long size = kernel_size(), there = kernel_read(truth_now, moved, at);
    bool differs = there != moved || memcmp(truth_now, got, (size_t)moved) != 0;
    if (!unchanged(before))
        return;
    long expected = size <= at ? 0 : size - at < count ? size - at : count;
    board->counts[WRONG_COUNT] += moved != expected;
    board->counts[STALE] += differs;
}

// What is left of the write: a cut, and be it in its midst, leaves the front. Natively a write and a cut take turns.
static bool is_torn(long count, long there)
{
    bool gone = false;
    for (long i = 0; i < count / 8; i++) {
        bool is_there = i < there / 8 && truth_now[i] == written[i];
        if (is_there && gone)
            return true;
        gone |= !is_there;
    }
    return false;
}

static void write_once(long at, long count)
{
    int way = (int)below(&random_state, 3);
    uint32_t number = atomic_fetch_add(&board->sequence, 1) + 1;
    fill_stamps(written, SUBJECT, number, at, count);
    done_in[number % REMEMBERED] = UINT32_MAX;
    uint64_t before = look();
    long moved;
    if (way == 0) {
        moved = pwrite(fd, written, (size_t)count, at);
    } else if (way == 1) {
        struct iovec vector[] = {{written, (size_t)count / 16 * 8},
                                 {(char *)written + count / 16 * 8, (size_t)(count - count / 16 * 8)}};
        moved = pwritev(fd, vector, 2, at);
    } else {
        lseek(fd, at, SEEK_SET);
        moved = write(fd, written, (size_t)count);
        board->counts[WRONG_OFFSET] += raw(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0) != at + (moved > 0 ? moved : 0);
    }
    done_in[number % REMEMBERED] = atomic_load(&board->begun);
    board->counts[ERRORS] += moved < 0;
    board->counts[WRONG_COUNT] += moved >= 0 && moved != count;
    bool was_quiet = unchanged(before);
    board->counts[UNCERTAIN] += !was_quiet;
    // Until a look at the file has not been disturbed. What is torn stays so until a cut takes it.
    for (int i = 0; i < 100; i++) {
        uint64_t now = look();
        long there = kernel_read(truth_now, count, at);
        if (!unchanged(now))
            continue;
        board->counts[TORN] += is_torn(count, there);
        board->counts[LOST] += was_quiet && now == before &&
                               (there != count || memcmp(truth_now, written, (size_t)count) != 0);
        return;
    }
}

// The next mapping of the file whose length is a multiple of 2 MiB begins at one, where huge pages can be mapped: by
// chance that is one in 512. The kernel puts mappings below one another.
static void align_next_mapping(void)
{
    const size_t huge = 2 << 20, length = 66 << 20;
    char *probe = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
    if (probe == MAP_FAILED)
        die("mmap");
    munmap(probe, length);
    size_t rest = (size_t)(probe + length) & (huge - 1);
    if (rest != 0)
        mmap(probe + length - rest, rest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

void read_and_write_until_stopped(struct board *shared, const char *path)
{
    board = shared;
    random_state = board->seed;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die(path);
    align_next_mapping();
    while (!atomic_load(&board->stop)) {
        long count = some_length(), at = somewhere(count);
        if (below(&random_state, 3))
            read_once(at, count);
        else
            write_once(at, count);
        board->counts[OPERATIONS]++;
    }
    close(fd);
}

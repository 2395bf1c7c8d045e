// Huge pages that come to a tmpfs, or to a file in it, after they were looked at: the mount's huge= is changed, and
// another process has a file's pages joined (MADV_COLLAPSE, on any tmpfs). A mapping of one then reaches past the
// file's end as far as the huge page does: only the end that the kernel knows may decide what is read and kept.
#include "exerciser.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE (2ul << 20)

static uint64_t hash(uint64_t value, const unsigned char *bytes, size_t length)
{
    for (size_t index = 0; index < length; index++) value = (value ^ bytes[index]) * 1099511628211ull;
    return value;
}

// ---- the second process's part

static void run_remount(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    result->skipped = !side->memory || !side->own_mount ||
                      !mount_set_huge(side->directory, kind_of(op)->choices[op->choice].text);
}

// Not all of a file that was made enormous on purpose.
static void join_pages(const struct side *side, int fd)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) return;
    for (off_t at = 0; at < status.st_size && at < side->limit; at += (off_t)HUGE_PAGE) {
        char *room = mmap(NULL, 2 * HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED) return;
        char *address = (char *)(((uintptr_t)room + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
        if (mmap(address, HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, at) != MAP_FAILED) {
            (void)*(volatile char *)address;
            // Refused elsewhere than on tmpfs, and where there is no huge page to be had: nobody is to notice.
            madvise(address, HUGE_PAGE, 25 /* MADV_COLLAPSE */);
        }
        munmap(room, 2 * HUGE_PAGE);
    }
}

static int open_name(const struct side *side, unsigned name)
{
    char path[1024];
    side_path(side, name, 0, path, sizeof path);
    return open(path, O_RDWR | O_CLOEXEC);
}

static void run_collapse(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)place;
    int fd = open_name(side, op->name);
    result_set(result, fd < 0 ? -1 : 0);
    join_pages(side, fd);
    if (fd >= 0) close(fd);
}

enum order { CUT_THEN_JOINED, JOINED_THEN_CUT, WRITTEN_ANEW };

static void cut_and_join(struct side *side, const struct op *op, const struct place *place)
{
    int fd = open_name(side, op->name);
    if (fd < 0) return;
    if (place->value == JOINED_THEN_CUT) join_pages(side, fd);
    if (place->value == WRITTEN_ANEW) {
        static unsigned char bytes[PAGE];
        pattern_fill(bytes, sizeof bytes, op->pattern);
        if (ftruncate(fd, 0) != 0) return;
        for (int64_t at = 0; at < place->offset; at += PAGE)
            if (pwrite(fd, bytes, (size_t)(place->offset - at < PAGE ? place->offset - at : PAGE), at) < 0) break;
    }
    if (ftruncate(fd, place->offset) == 0 && place->value != JOINED_THEN_CUT) join_pages(side, fd);
    close(fd);
}

// ---- the process under test

enum { MOST = 64 << 10 };

static bool may_align(void)
{
    return !context.maps_refused && !context.memory_limited;
}

// The next mapping of the file whose length is a multiple of 2 MiB begins at one: by chance that is one in 512.
static void align_next_mapping(const struct side *side, int fd)
{
    const size_t length = 66ul << 20;
    char *probe = side->calls->mmap(0, length, PROT_READ, MAP_SHARED, fd, 0);
    if (probe == MAP_FAILED) return;
    side->calls->munmap(probe, length);
    size_t rest = (uintptr_t)(probe + length) & (HUGE_PAGE - 1);
    if (rest != 0)
        mmap(probe + length - rest, rest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

// Mappings of one length go below one another: the windows that come next begin so, too, until another mapping comes
// between them.
static void run_align(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    (void)op, (void)place;
    int fd = may_align() ? (int)raw_calls.memfd_create("align", MFD_CLOEXEC) : -1;
    if (fd < 0) {
        result->skipped = true;
        return;
    }
    align_next_mapping(side, fd);
    raw_calls.close(0, fd);
}

struct seen {
    int64_t sum; // of what the calls returned, each with its place
    uint64_t hash;
};

static void note(struct seen *seen, long returned, const unsigned char *bytes)
{
    seen->sum = (int64_t)((uint64_t)seen->sum * 1000003u) + (returned < 0 ? -errno : returned);
    if (bytes != NULL && returned > 0) seen->hash = hash(seen->hash, bytes, (size_t)returned);
}

static void note_file(struct seen *seen, const struct side *side, int fd)
{
    static unsigned char bytes[MOST];
    long got;
    for (off_t at = 0; at < side->limit && (got = raw_calls.pread(0, fd, bytes, sizeof bytes, at)) > 0; at += got)
        note(seen, got, bytes);
    note(seen, raw_calls.lseek(0, fd, 0, SEEK_END), NULL);
}

static int64_t below_limit(const struct side *side, int64_t offset)
{
    return offset > side->limit - MOST ? side->limit - MOST : offset;
}

static void run_collapse_cut(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    static unsigned char bytes[MOST], written[MOST];
    char path[1024];
    struct result ignored;
    struct seen seen = {0};
    if (in_helper) {
        cut_and_join(side, op, place);
        return;
    }
    // Wrong on purpose: nothing for a file of whose every byte something is known.
    if (place->offset < 0 || place->offset > side->limit - MOST) {
        result->skipped = true;
        return;
    }
    side_path(side, op->name, op->variant, path, sizeof path);
    int fd = (int)side->calls->open(op->variant, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) {
        result_set(result, -1);
        return;
    }
    running->unseen = true;
    size_t length = place->length < MOST ? place->length : MOST;
    int64_t end = place->offset, past = (end + PAGE - 1) & ~(int64_t)(PAGE - 1);
    uint64_t state = op->pattern;
    pattern_fill(written, sizeof written, op->pattern);
    if (op->variant % 2 != 0 && may_align()) align_next_mapping(side, fd);
    // The window, and what is known of the size. An overwrite in the tick of one before it is served.
    for (int call = 0; call < 3; call++) side->calls->pread(op->variant, fd, bytes, PAGE, call * PAGE);
    if (!helper_run(running->helper, side == running->served ? 0 : 1, op, place, &ignored))
        result->wrong = "the second process is gone";
    for (int call = 0; call < 3; call++) note(&seen, side->calls->pread(op->variant, fd, bytes, 1024, 0), bytes);
    int64_t further = below_limit(side, past + (int64_t)(random_next(&state) % 60) * PAGE);
    note(&seen, side->calls->pread(op->variant, fd, bytes, PAGE, further), bytes);
    note(&seen, side->calls->pread(op->variant, fd, bytes, PAGE, past), bytes);
    note(&seen, side->calls->pread(op->variant, fd, bytes, length, end > 100 ? end - 100 : 0), bytes);
    // What is acknowledged past the end makes the file longer. Two, for the first of a tick is the kernel's.
    if (random_next(&state) % 4 != 0) {
        size_t first = end < 1024 ? (size_t)end : 1024;
        if (end > 0) note(&seen, side->calls->pwrite(op->variant, fd, written, first, 0), NULL);
        further = below_limit(side, past + (int64_t)(random_next(&state) % 60) * PAGE);
        for (int call = 0; call < 2; call++)
            note(&seen, side->calls->pwrite(op->variant, fd, written, length, further), NULL);
        note(&seen, side->calls->pread(op->variant, fd, bytes, length, further), bytes);
    }
    note_file(&seen, side, fd);
    side->calls->close(op->variant, fd);
    result->ret = seen.sum & INT64_MAX;
    result->hash = seen.hash;
}

// The first takes them away again.
static const struct choice settings[] = {
    {"never", 0, 1}, {"always", 1, 4}, {"within_size", 2, 2}, {"advise", 3, 1}, {NULL, 0, 0},
};

static const struct choice orders[] = {
    {"cut-then-joined", CUT_THEN_JOINED, 3}, {"joined-then-cut", JOINED_THEN_CUT, 3},
    {"written-anew", WRITTEN_ANEW, 2}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"remount", 3, CHOICE, OUTSIDE | RESTRICTS | UNSEEN, settings, run_remount},
    {"align", 4, 0, ONCE, NULL, run_align},
    {"collapse", 6, NAME, OUTSIDE | BY_NAME | UNSEEN | UNTIMED, NULL, run_collapse},
    {"collapse-cut", 8, NAME | OFFSET | LENGTH | VARIANT | CHOICE, BY_NAME | UNSEEN | UNTIMED, orders,
     run_collapse_cut},
};

const struct group huge_group = {"huge", kinds, sizeof kinds / sizeof *kinds};

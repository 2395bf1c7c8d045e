// Times: what the clock stamps on the reference side, it stamps on the served side too, with no tick older than that in
// which the operation began; what it leaves alone there it leaves alone here.
#include "exerciser.h"

#include <time.h>

// The kernel stamps with the time of the last tick, and the shim may keep a stamp of the same tick. So the clock to
// compare with is the one that stands still between ticks: they come late where a processor is taken away from a
// virtual machine.

static int64_t nanoseconds(struct timespec time)
{
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static bool stat_side(const struct side *side, const struct op *op, struct stat *status)
{
    const struct kind *kind = kind_of(op);
    if ((kind->traits & BY_NAME) != 0) return name_stat(side, op->name, status);
    return (kind->fields & SLOT) != 0 && slot_stat(side, op->slot, status);
}

void clocks_before(struct comparison *comparison, const struct op *op, struct clocks *clocks)
{
    const struct side *sides[2] = {comparison->served, comparison->reference};
    const struct kind *kind = kind_of(op);
    // Kinds that change which file the name or slot means have nothing to compare it with.
    clocks->known = comparison->times && (kind->traits & (UNTIMED | ONCE)) == 0 && (kind->fields & (OTHER | TO)) == 0 &&
                    ((kind->fields & (NAME | SLOT)) == SLOT || (kind->traits & BY_NAME) != 0);
    for (int each = 0; each < 2 && clocks->known; each++) {
        struct stat status;
        clocks->known = stat_side(sides[each], op, &status) && S_ISREG(status.st_mode);
        clocks->inode[each] = status.st_ino;
        clocks->modified[each] = status.st_mtim;
        clocks->changed[each] = status.st_ctim;
    }
    clock_gettime(CLOCK_REALTIME_COARSE, &clocks->began);
}

static bool moved_alike(struct comparison *comparison, const char *name, int64_t began, const int64_t before[2],
                        const int64_t after[2])
{
    bool reference_moved = before[1] != after[1];
    if (reference_moved && after[0] < began)
        return differs(comparison, "%s is %.3f ms before the operation; the reference side's moved", name,
                       (double)(began - after[0]) / 1e6);
    if (!reference_moved && before[0] != after[0])
        return differs(comparison, "%s moved; the reference side's did not", name);
    return true;
}

bool clocks_after(struct comparison *comparison, const struct op *op, const struct clocks *clocks)
{
    struct stat served, reference;
    if (!clocks->known || !stat_side(comparison->served, op, &served) ||
        !stat_side(comparison->reference, op, &reference) || served.st_ino != clocks->inode[0] ||
        reference.st_ino != clocks->inode[1])
        return true; // another file by now
    int64_t began = nanoseconds(clocks->began);
    int64_t modified_before[2] = {nanoseconds(clocks->modified[0]), nanoseconds(clocks->modified[1])};
    int64_t modified_after[2] = {nanoseconds(served.st_mtim), nanoseconds(reference.st_mtim)};
    int64_t changed_before[2] = {nanoseconds(clocks->changed[0]), nanoseconds(clocks->changed[1])};
    int64_t changed_after[2] = {nanoseconds(served.st_ctim), nanoseconds(reference.st_ctim)};
    return moved_alike(comparison, "mtime", began, modified_before, modified_after) &&
           moved_alike(comparison, "ctime", began, changed_before, changed_after);
}

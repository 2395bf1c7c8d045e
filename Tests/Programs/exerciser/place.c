// From "17 bytes before the end" to numbers, by what the reference side looks like now.
#include "exerciser.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int64_t anchor_value(unsigned anchor, int64_t size, int64_t current)
{
    switch (anchor) {
    case AT_END: return size;
    case AT_CURRENT: return current;
    case AT_LAST_PAGE: return size == 0 ? 0 : (size - 1) & ~(int64_t)(PAGE - 1);
    case AT_MIDDLE: return size / 2 & ~(int64_t)(PAGE - 1);
    default: return 0;
    }
}

static int64_t resolve(unsigned anchor, int64_t delta, int64_t size, int64_t current, int64_t limit)
{
    if (anchor == AT_EXACT) return delta;
    int64_t value = anchor_value(anchor, size, current) + delta;
    if (value < 0) value = 0;
    return value > limit ? limit : value;
}

// The size of the file a mapping shows, found through a slot or a name; -1 if neither leads to it.
static int64_t mapped_size(const struct side *side, const struct mapping *mapping)
{
    struct stat status;
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (slot_stat(side, slot, &status) && status.st_ino == mapping->inode && status.st_dev == mapping->device)
            return status.st_size;
    for (unsigned name = 0; name < NAMES; name++)
        if (name_stat(side, name, &status) && status.st_ino == mapping->inode && status.st_dev == mapping->device)
            return status.st_size;
    return -1;
}

// Where not all is well defined: past the end, what the last page holds is the kernel's affair (it zeroes it when it
// likes), and so is how far a huge page reaches.
static bool inside_file(const struct side *side, const struct mapping *mapping, struct place *place)
{
    int64_t size = mapped_size(side, mapping);
    int64_t from = mapping->offset + place->offset;
    if (size < 0) return false;
    if (from >= size) return !side->huge_pages && from >= ((size + PAGE - 1) & ~(int64_t)(PAGE - 1));
    if ((int64_t)place->length > size - from) place->length = (size_t)(size - from);
    return true;
}

static bool resolve_mapped(const struct side *reference, const struct op *op, struct place *place)
{
    const struct mapping *mapping = &reference->map[op->map];
    const struct kind *kind = kind_of(op);
    if (mapping->address == NULL) return false;
    place->offset = resolve(op->anchor == AT_EXACT ? AT_ZERO : op->anchor, op->delta, (int64_t)mapping->length, 0,
                            (int64_t)mapping->length);
    size_t room = mapping->length - (size_t)place->offset;
    if (place->length > room) place->length = room;
    bool stores = (kind->traits & FILLS) != 0 || strcmp(kind->name, "pread-mapped") == 0;
    if (stores && (mapping->protection & 2) == 0) place->length = 0;
    if (!reference->strict && strcmp(kind->name, "msync") != 0 && !inside_file(reference, mapping, place)) return false;
    if ((kind->fields & SLOT) == 0) return true;
    // The same file on both ends of one copy: the kernel promises nothing.
    struct stat status;
    if (slot_stat(reference, op->slot, &status) && status.st_ino == mapping->inode && status.st_dev == mapping->device)
        return false;
    int64_t size = slot_stat(reference, op->slot, &status) ? status.st_size : 0;
    place->offset2 = resolve(op->anchor2, op->delta2, size, 0, reference->limit);
    place->position = place->offset2;
    return true;
}

static int64_t current_offset(int fd)
{
    long offset = fd < 0 ? -1 : raw_calls.lseek(0, fd, 0, SEEK_CUR);
    return offset < 0 ? 0 : offset;
}

// Where an operation that may extend a file will write, so that the file can be kept below the limit.
static int64_t writes_at(const struct side *reference, const struct op *op, const struct place *place)
{
    const struct kind *kind = kind_of(op);
    struct stat status;
    if ((kind->fields & OTHER) != 0) { // copies from slot to other
        int64_t here = current_offset(side_fd(reference, op->other));
        int64_t there = (kind->fields & OFFSET2) != 0 ? place->offset2 : 0;
        int64_t size = slot_stat(reference, op->other, &status) ? status.st_size : 0;
        int64_t position = here > there ? here : there;
        return position > size ? position : size;
    }
    if ((kind->traits & BY_STREAM) != 0) {
        FILE *stream = reference->stream[op->stream];
        // Not ftello, which changes the stream, and only this side's. What lies in its buffer comes on top.
        int64_t here = stream == NULL ? 0 : current_offset(fileno(stream));
        return here > place->size ? here : place->size;
    }
    if ((kind->traits & IN_MAPPING) != 0) return place->offset2;
    int64_t position = (kind->traits & IMPLICIT) != 0 ? place->position : place->offset;
    long flags = (kind->traits & BY_NAME) != 0 ? 0 : raw_calls.fcntl(0, side_fd(reference, op->slot), F_GETFL, 0);
    bool appends = flags >= 0 && (flags & O_APPEND) != 0;
    bool may_append = strcmp(kind->name, "out-append") == 0 || strcmp(kind->name, "pwritev2") == 0 ||
                      kind_is(kind, "fallocate");
    if (strcmp(kind->name, "pwritev2") == 0 && place->value < 0)
        position = current_offset(side_fd(reference, op->slot));
    return (appends || may_append) && place->size > position ? place->size : position;
}

// sendfile passes pages along, not copies. Of a file into itself, from and to ranges that overlap, what arrives hangs
// on which pages hold memory already, and one that was only set aside does once a mapping has touched it: natively too,
// so that there is no one right answer (docs/limitations.md).
static bool hangs_on_memory(const struct side *reference, const struct op *op, const struct place *place)
{
    struct stat in, out;
    int from = side_fd(reference, op->slot), to = side_fd(reference, op->other);
    if (fstat(from, &in) != 0 || fstat(to, &out) != 0 || in.st_ino != out.st_ino || in.st_dev != out.st_dev)
        return false;
    int64_t before = current_offset(from), target = current_offset(to), length = (int64_t)place->length;
    int64_t source = (place->value & 1) != 0 ? before : place->offset;
    if (source < 0 || target < 0 || source >= target + length || target >= source + length) return false;
    // Space that was only set aside is a hole here.
    int64_t hole = lseek(from, source, SEEK_HOLE);
    lseek(from, before, SEEK_SET);
    return hole < source + length && hole < in.st_size;
}

// Elsewhere than on tmpfs a direct read that is not aligned is refused where there are blocks, and reads zeros from a
// hole. A store through a mapping gives blocks to all of the piece of the page cache that it lies in (ext4, Linux
// 6.18), natively too: there is no one right answer (docs/limitations.md).
static bool hangs_on_blocks(const struct side *reference, int fd, const struct place *place)
{
    long flags = fd >= 0 && !reference->memory ? fcntl(fd, F_GETFL) : -1;
    if (flags < 0 || (flags & O_DIRECT) == 0 || (flags & O_ACCMODE) == O_WRONLY) return false;
    int64_t before = current_offset(fd), from = place->position >= 0 ? place->position : place->offset;
    if ((from | (int64_t)place->length) % 512 == 0 || before < 0 || from < 0 || from >= place->size) return false;
    int64_t hole = lseek(fd, from, SEEK_HOLE);
    lseek(fd, before, SEEK_SET);
    return hole < from + (int64_t)place->length && hole < place->size;
}

bool place_resolve(const struct side *reference, const struct op *op, struct place *place)
{
    const struct kind *kind = kind_of(op);
    struct stat status;
    memset(place, 0, sizeof *place);
    place->position = -1;
    place->value = (kind->fields & CHOICE) != 0 ? kind->choices[op->choice].value : 0;
    int fd = (kind->fields & SLOT) != 0 ? side_fd(reference, op->slot) : -1;
    if ((kind->traits & BY_STREAM) != 0) {
        if (reference->stream[op->stream] == NULL) return false;
        fd = fileno(reference->stream[op->stream]);
    }
    bool known = (kind->traits & BY_NAME) != 0 ? name_stat(reference, op->name, &status)
                                                : fd >= 0 && fstat(fd, &status) == 0;
    place->size = known ? status.st_size : 0;
    int64_t current = current_offset(fd);
    place->offset = resolve(op->anchor, op->delta, place->size, current, reference->limit);
    int64_t length = op->length;
    if (op->length_to_end) length += place->size - ((kind->traits & IMPLICIT) != 0 ? current : place->offset);
    if (length < 0) length = 0;
    if (length > reference->limit) length = reference->limit;
    place->length = (size_t)length;
    if ((kind->traits & IN_MAPPING) != 0) {
        if (!resolve_mapped(reference, op, place)) return false;
    } else {
        int64_t other = 0;
        if ((kind->fields & OTHER) != 0 && slot_stat(reference, op->other, &status)) other = status.st_size;
        if ((kind->fields & OFFSET2) != 0)
            place->offset2 = resolve(op->anchor2, op->delta2, other, 0, reference->limit);
        if (strcmp(kind->name, "lseek") == 0) place->offset2 = current;
        if ((kind->traits & IMPLICIT) != 0) place->position = current;
        else if ((kind->fields & (BUFFER | OFFSET)) == (BUFFER | OFFSET)) place->position = place->offset;
    }
    if ((kind->fields & BUFFER) != 0 && hangs_on_blocks(reference, fd, place)) return false;
    if (strcmp(kind->name, "sendfile") == 0 && hangs_on_memory(reference, op, place)) return false;
    if ((kind->traits & EXTENDS) == 0) return true;
    int64_t at = writes_at(reference, op, place);
    if (at < 0 || at > INT64_MAX - (8 << 20)) return true; // wrong on purpose: refused
    int64_t room = reference->limit - at;
    if (room < 0) room = 0;
    if ((int64_t)place->length > room) place->length = (size_t)room;
    return true;
}

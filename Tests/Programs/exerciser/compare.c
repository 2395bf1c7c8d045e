// What must be equal after a step: what the call gave back, what the kernel now says of every descriptor, and bytes.
#include "exerciser.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool differs(struct comparison *comparison, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(comparison->report->message, sizeof comparison->report->message, format, arguments);
    va_end(arguments);
    comparison->report->differs = 1;
    return false;
}

static const char *error_name(int64_t ret, int error)
{
    return ret < 0 ? strerrorname_np(error) : "no error";
}

// The buffers, of `length` bytes between their margins.
static bool compare_bytes(struct comparison *comparison, const struct result *served, const struct result *reference,
                          size_t length)
{
    for (size_t index = 0; index < served->bytes_length; index++) {
        if (served->bytes[index] == reference->bytes[index]) continue;
        int64_t place = (int64_t)index - MARGIN;
        // Where another process cut the file short, a served read has copied more than it then says: bytes behind
        // those it returned, inside the buffer (docs/limitations.md).
        bool inside = place >= 0 && place < (int64_t)length;
        // A direct read that fails has sometimes moved a part of its bytes before: the kernel alone differs from run to
        // run there (ext4, Linux 6.18).
        if (inside && served->ret < 0 && !comparison->served->memory) continue;
        if (comparison->unseen && served->ret >= 0 && inside && place >= served->ret) continue;
        return differs(comparison, "buffer differs at byte %lld (returned %lld): 0x%02x, reference 0x%02x",
                       (long long)place, (long long)served->ret, served->bytes[index], reference->bytes[index]);
    }
    return true;
}

static bool compare_result(struct comparison *comparison, const struct result *served, const struct result *reference,
                           size_t length)
{
    if (served->wrong != NULL) return differs(comparison, "%s", served->wrong);
    if (reference->wrong != NULL) return differs(comparison, "on the reference side: %s", reference->wrong);
    if (served->signal != reference->signal)
        return differs(comparison, "signal %d, reference %d", served->signal, reference->signal);
    if (served->ret != reference->ret || (served->ret < 0 && served->err != reference->err))
        return differs(comparison, "returned %lld (%s), reference %lld (%s)", (long long)served->ret,
                       error_name(served->ret, served->err), (long long)reference->ret,
                       error_name(reference->ret, reference->err));
    if (served->extra != reference->extra)
        return differs(comparison, "second value %lld, reference %lld", (long long)served->extra,
                       (long long)reference->extra);
    if (served->hash != reference->hash)
        return differs(comparison, "the second process got other bytes (or another lock) than on the reference side");
    if (served->bytes_length != reference->bytes_length)
        return differs(comparison, "buffers of different length: mistake in the exerciser");
    return served->bytes == NULL || memcmp(served->bytes, reference->bytes, served->bytes_length) == 0 ||
           compare_bytes(comparison, served, reference, length);
}

static bool compare_slot(struct comparison *comparison, unsigned slot)
{
    const struct side *served = comparison->served, *reference = comparison->reference;
    int fds[2] = {served->fd[slot], reference->fd[slot]};
    if ((fds[0] < 0) != (fds[1] < 0)) return differs(comparison, "slot %u is open on one side only", slot);
    if (fds[0] < 0) return true;
    long offsets[2] = {raw_calls.lseek(0, fds[0], 0, SEEK_CUR), raw_calls.lseek(0, fds[1], 0, SEEK_CUR)};
    if (offsets[0] != offsets[1])
        return differs(comparison, "offset of slot %u is %ld, reference %ld", slot, offsets[0], offsets[1]);
    struct stat a, b;
    if (fstat(fds[0], &a) != 0 || fstat(fds[1], &b) != 0) return differs(comparison, "fstat of slot %u failed", slot);
    if (a.st_size != b.st_size && S_ISREG(a.st_mode))
        return differs(comparison, "size of slot %u is %lld, reference %lld", slot, (long long)a.st_size,
                       (long long)b.st_size);
    if (a.st_nlink != b.st_nlink || a.st_mode != b.st_mode)
        return differs(comparison, "slot %u: links %lu mode %o, reference links %lu mode %o", slot,
                       (unsigned long)a.st_nlink, a.st_mode, (unsigned long)b.st_nlink, b.st_mode);
    if (served->holes && S_ISREG(a.st_mode) && a.st_blocks != b.st_blocks)
        return differs(comparison, "slot %u has %lld blocks, reference %lld", slot, (long long)a.st_blocks,
                       (long long)b.st_blocks);
    return true;
}

static bool regular_readable(const struct side *side, unsigned slot)
{
    struct stat status;
    long flags = raw_calls.fcntl(0, side_fd(side, slot), F_GETFL, 0);
    return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY && (flags & (O_PATH | O_DIRECT)) == 0 &&
           slot_stat(side, slot, &status) && S_ISREG(status.st_mode);
}

// Both sides by raw reads of the kernel, in one range.
static bool compare_range(struct comparison *comparison, unsigned slot, int64_t from, size_t length)
{
    struct side *served = comparison->served, *reference = comparison->reference;
    if (length > served->arena_size) length = served->arena_size;
    if (from < 0) from = 0;
    long got = raw_calls.pread(0, served->fd[slot], served->arena, length, from);
    long expected = raw_calls.pread(0, reference->fd[slot], reference->arena, length, from);
    if (got != expected)
        return differs(comparison, "slot %u, raw read of %zu bytes at %lld: %ld, reference %ld", slot, length,
                       (long long)from, got, expected);
    if (got <= 0 || memcmp(served->arena, reference->arena, (size_t)got) == 0) return true;
    size_t first = 0;
    while (served->arena[first] == reference->arena[first]) first++;
    return differs(comparison, "slot %u, in the file: byte %lld is 0x%02x, reference 0x%02x", slot,
                   (long long)from + (long long)first, served->arena[first], reference->arena[first]);
}

bool compare_slots(struct comparison *comparison)
{
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (!compare_slot(comparison, slot)) return false;
    return true;
}

bool compare_step(struct comparison *comparison, const struct op *op, const struct place *place,
                  const struct result *served, const struct result *reference)
{
    if (!compare_result(comparison, served, reference, place->length) || !compare_slots(comparison)) return false;
    if (place->position < 0 || op->slot >= SLOTS || !regular_readable(comparison->served, op->slot)) return true;
    // An appending write goes to the end, wherever it was told to go.
    struct stat status;
    if ((kind_of(op)->traits & EXTENDS) != 0 && slot_stat(comparison->served, op->slot, &status) &&
        status.st_size > place->size &&
        !compare_range(comparison, op->slot, place->size - 64, (size_t)(status.st_size - place->size) + 128))
        return false;
    return compare_range(comparison, op->slot, place->position - 64, place->length + 128);
}

// The file as the program sees it through libc, in pieces, against the kernel's word for the reference.
static bool compare_served_reads(struct comparison *comparison, unsigned slot, size_t piece)
{
    struct side *served = comparison->served, *reference = comparison->reference;
    size_t room = served->arena_size, done = 0;
    long expected = raw_calls.pread(0, reference->fd[slot], reference->arena, room, 0);
    while (done < room) {
        size_t part = piece < room - done ? piece : room - done;
        long got = served->calls->pread(0, served->fd[slot], served->arena + done, part, (off_t)done);
        if (got <= 0) break;
        done += (size_t)got;
    }
    if ((long)done != expected)
        return differs(comparison, "slot %u read through libc in pieces of %zu bytes: %zu, reference %ld", slot, piece,
                       done, expected);
    if (expected <= 0 || memcmp(served->arena, reference->arena, done) == 0) return true;
    size_t first = 0;
    while (served->arena[first] == reference->arena[first]) first++;
    return differs(comparison, "slot %u read through libc in pieces of %zu bytes: byte %zu is 0x%02x, reference 0x%02x",
                   slot, piece, first, served->arena[first], reference->arena[first]);
}

bool compare_everything(struct comparison *comparison, const struct op *op)
{
    static const size_t pieces[] = {65536, 4096, 8192, 1000, 4095, 16384, 100000, 12289};
    // From the op and not from the step's number, which changes when a sequence is shortened.
    size_t turn = op == NULL ? 0 : op->variant;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (!compare_slot(comparison, slot)) return false;
        if (comparison->served->fd[slot] < 0 || !regular_readable(comparison->served, slot)) continue;
        if (!compare_range(comparison, slot, 0, comparison->served->arena_size)) return false;
        if (!compare_served_reads(comparison, slot, pieces[(turn + slot) % 8])) return false;
    }
    char message[1024];
    return helper_compare(comparison->helper, message, sizeof message) || differs(comparison, "%s", message);
}

// After everything is closed, no mapping of a served file may be left: it would pin locks, leases and space.
bool compare_windows_gone(struct comparison *comparison)
{
    char line[2048];
    FILE *in = fopen("/proc/self/maps", "re");
    if (in == NULL) return true;
    bool gone = true;
    while (gone && fgets(line, sizeof line, in) != NULL)
        if (strstr(line, comparison->served->directory) != NULL)
            gone = differs(comparison, "all descriptors closed, but still mapped: %s", line);
    fclose(in);
    return gone;
}

// Compares files with the ledger. Never under the shim: this is the kernel's view.
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kill.h"

static unsigned char old[LONGEST], new[LONGEST], found[LONGEST];

void complain(const struct ledger *ledger, const char *format, ...)
{
    static int lines;
    if (lines++ >= 40)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("seed %lu, %s: ", ledger->plan.seed, topology_names[ledger->plan.topology]);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void die(const char *what)
{
    fflush(stdout);
    perror(what);
    exit(2);
}

// How many bytes are equal, from the start or from the end.
static long equal_head(const unsigned char *left, const unsigned char *right, long count)
{
    long i = 0;
    while (i < count && left[i] == right[i])
        i++;
    return i;
}

static long equal_tail(const unsigned char *left, const unsigned char *right, long count)
{
    long i = 0;
    while (i < count && left[count - 1 - i] == right[count - 1 - i])
        i++;
    return i;
}

// A write that was going on: its bytes come in order, so what is there is a head of the new over the old. Single bytes
// may be the same in both, so the place where it stopped lies between two bounds.
static void judge_in_flight(
    const struct ledger *ledger, struct verdict *verdict, const char *what, long offset, long length)
{
    long at_most = equal_head(found, new, length), at_least = length - equal_tail(found, old, length);
    if (at_least > at_most) {
        verdict->foreign++;
        complain(ledger, "%s: a mixture that is no head of the write in flight over what was there", what);
    } else if (at_most == length) {
        verdict->in_flight.whole++;
    } else if (at_least == 0) {
        verdict->in_flight.absent++;
    } else if ((offset + at_most) / PAGE > (offset + at_least - 1) / PAGE) {
        verdict->in_flight.at_page++;
    } else {
        verdict->in_flight.in_page++;
        if (length < SMALL) {
            verdict->torn++;
            complain(ledger, "%s: %ld of %ld bytes written", what, at_most, length);
        }
    }
}

static void settle(struct slot_ledger *entry, int fd, const struct slot *slot, uint32_t version)
{
    if (pwrite(fd, new, (size_t)slot->length, slot->offset) != slot->length)
        die("pwrite");
    atomic_store(&entry->begun, version);
    atomic_store(&entry->acknowledged, version);
}

void check_slots(struct ledger *ledger, int lane, struct verdict *verdict)
{
    const struct plan *plan = &ledger->plan;
    int files[SLOT_FILES];
    char what[120], path[600];
    for (int file = 0; file < SLOT_FILES; file++) {
        slot_path(path, sizeof path, ledger->directory, file);
        if ((files[file] = open(path, O_RDWR | O_CLOEXEC)) < 0)
            die(path);
    }
    for (int index = 0; index < plan->slots; index++) {
        const struct slot *slot = &plan->slot[index];
        struct slot_ledger *entry = &ledger->slot[index];
        if (slot->lane != lane)
            continue;
        uint32_t begun = atomic_load(&entry->begun), acknowledged = atomic_load(&entry->acknowledged);
        snprintf(what, sizeof what, "slots.%d, %ld bytes at %ld, version %u", slot->file, slot->length, slot->offset,
                 acknowledged);
        if (pread(files[slot->file], found, (size_t)slot->length, slot->offset) != slot->length) {
            verdict->lost++;
            complain(ledger, "%s: the file ends before it", what);
            continue;
        }
        slot_bytes(plan, index, acknowledged, old);
        if (begun == acknowledged) {
            verdict->checked += acknowledged > 0;
            long same = equal_head(found, old, slot->length);
            if (same == slot->length)
                continue;
            verdict->lost++;
            complain(ledger, "%s, acknowledged: differs from byte %ld on", what, same);
            memcpy(new, old, (size_t)slot->length);
        } else {
            slot_bytes(plan, index, begun, new);
            judge_in_flight(ledger, verdict, what, slot->offset, slot->length);
        }
        settle(entry, files[slot->file], slot, begun);
    }
    for (int file = 0; file < SLOT_FILES; file++)
        close(files[file]);
}

// ---- logs -------------------------------------------------------------------------------------------------------
struct scan {
    struct ledger *ledger;
    struct verdict *verdict;
    enum log_kind log;
    const unsigned char *bytes;
    long size;
    uint8_t met[LANES][RECORDS];
};

// The length of the whole record at `at`; 0: there is none.
static long whole_record(struct scan *scan, long at, struct record_head *head)
{
    if (scan->size - at < (long)sizeof *head)
        return 0;
    memcpy(head, scan->bytes + at, sizeof *head);
    const struct plan *plan = &scan->ledger->plan;
    if (head->magic != RECORD_MAGIC || head->lane >= (uint32_t)plan->lanes || head->number >= RECORDS
        || (long)head->length != record_length(plan, scan->log, (int)head->lane, head->number)
        || (long)head->length > scan->size - at)
        return 0;
    record_bytes(plan, scan->log, (int)head->lane, head->number, new);
    return memcmp(scan->bytes + at, new, head->length) == 0 ? (long)head->length : 0;
}

// How certainly a write in flight is the one that has left [at, end).
enum fit { NO_FIT, MAYBE, EXACT, NAMED };

// In the shared log the offset may have moved on while the old bytes are still there: a gap.
static enum fit fits(const struct scan *scan, long at, long end, long length, long *head)
{
    long rest = end - at < length ? end - at : length;
    *head = equal_head(scan->bytes + at, new, rest);
    if (scan->log == LOG_SHARED && rest == length) {
        background(&scan->ledger->plan, at, rest, old);
        if (equal_tail(scan->bytes + at, old, rest) < rest - *head)
            return NO_FIT;
        return *head >= (long)sizeof(struct record_head) ? NAMED : length == end - at ? EXACT : MAYBE;
    }
    return *head < rest ? NO_FIT : NAMED;
}

// [at, end) is no record. Returns how much of it one write in flight explains; 0: nothing does.
static long explained(struct scan *scan, long at, long end)
{
    const struct plan *plan = &scan->ledger->plan;
    enum fit best = NO_FIT;
    int best_lane = 0;
    uint32_t best_number = 0;
    long best_head = 0, head;
    for (int lane = 0; lane < plan->lanes; lane++)
        for (uint32_t number = 0; number < atomic_load(&scan->ledger->lane[lane].next[scan->log]); number++) {
            if (scan->met[lane][number] || atomic_load(&scan->ledger->lane[lane].recorded[scan->log][number]))
                continue;
            record_bytes(plan, scan->log, lane, number, new);
            enum fit fit = fits(scan, at, end, record_length(plan, scan->log, lane, number), &head);
            if (fit > best) {
                best = fit;
                best_lane = lane;
                best_number = number;
                best_head = head;
            }
        }
    if (best == NO_FIT)
        return 0;
    scan->met[best_lane][best_number] = 1;
    long length = record_length(plan, scan->log, best_lane, best_number);
    struct in_flight *in_flight = &scan->verdict->in_flight;
    in_flight->gap += best_head < length && length <= end - at;
    if (best_head == 0)
        return length;
    if ((at + best_head) % PAGE == 0) {
        in_flight->at_page++;
    } else {
        in_flight->in_page++;
        if (length < SMALL) {
            scan->verdict->torn++;
            complain(scan->ledger, "log %d at %ld: %ld of %ld bytes written", scan->log, at, best_head, length);
        }
    }
    return end - at < length ? end - at : length;
}

// Whether a log is from `at` on as it was made: behind its last record that is no gap.
static bool is_untouched(const struct scan *scan, long at)
{
    unsigned char byte;
    if (scan->log != LOG_SHARED)
        return false;
    for (; at < scan->size; at++) {
        background(&scan->ledger->plan, at, 1, &byte);
        if (scan->bytes[at] != byte)
            return false;
    }
    return true;
}

static void read_log(struct scan *scan)
{
    struct record_head head;
    for (long at = 0; at < scan->size;) {
        long length = whole_record(scan, at, &head);
        if (length > 0) {
            if (scan->met[head.lane][head.number]++ != 0) {
                scan->verdict->foreign++;
                complain(scan->ledger, "log %d at %ld: record %u of lane %u a second time", scan->log, at, head.number,
                         head.lane);
            } else if (!atomic_load(&scan->ledger->lane[head.lane].recorded[scan->log][head.number])) {
                scan->verdict->in_flight.whole++;
            }
            at += length;
            continue;
        }
        long end = at + 1;
        while (end < scan->size && whole_record(scan, end, &head) == 0)
            end++;
        while (at < end) {
            if (end == scan->size && is_untouched(scan, at))
                return;
            long part = explained(scan, at, end);
            if (part == 0) {
                scan->verdict->foreign++;
                complain(scan->ledger, "log %d: bytes %ld to %ld are of no write in flight", scan->log, at, end);
                part = end - at;
            }
            at += part;
        }
    }
}

static void check_log(struct ledger *ledger, struct verdict *verdict, enum log_kind log, int only)
{
    static struct scan scan;
    char path[600];
    struct stat status;
    log_path(path, sizeof path, ledger->directory, log, only);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        die(path);
    scan = (struct scan){.ledger = ledger, .verdict = verdict, .log = log, .size = status.st_size};
    if (scan.size > 0) {
        void *bytes = mmap(NULL, (size_t)scan.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            die("mmap");
        scan.bytes = bytes;
        read_log(&scan);
        munmap(bytes, (size_t)scan.size);
    }
    close(fd);
    for (int lane = 0; lane < ledger->plan.lanes; lane++) {
        if (log == LOG_OWN && lane != only)
            continue;
        for (uint32_t number = 0; number < atomic_load(&ledger->lane[lane].next[log]); number++) {
            bool acknowledged = atomic_load(&ledger->lane[lane].recorded[log][number]);
            verdict->checked += acknowledged;
            if (scan.met[lane][number])
                continue;
            if (!acknowledged) {
                verdict->in_flight.absent++;
                continue;
            }
            verdict->lost++;
            complain(ledger, "%s: record %u of lane %d, acknowledged, is not there", path, number, lane);
        }
    }
}

void check_logs(struct ledger *ledger, struct verdict *verdict)
{
    check_log(ledger, verdict, LOG_APPEND, 0);
    for (int lane = 0; lane < ledger->plan.lanes; lane++)
        check_log(ledger, verdict, LOG_OWN, lane);
    if (ledger->plan.topology == FAMILY)
        check_log(ledger, verdict, LOG_SHARED, 0);
}

// ---- before ---------------------------------------------------------------------------------------------------------
static int made(const char *path)
{
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        die(path);
    return fd;
}

void make_files(const struct ledger *ledger)
{
    const struct plan *plan = &ledger->plan;
    char path[600];
    int files[SLOT_FILES];
    for (int file = 0; file < SLOT_FILES; file++) {
        slot_path(path, sizeof path, ledger->directory, file);
        files[file] = made(path);
    }
    for (int slot = 0; slot < plan->slots; slot++) {
        const struct slot *it = &plan->slot[slot];
        slot_bytes(plan, slot, 0, new);
        if (pwrite(files[it->file], new, (size_t)it->length, it->offset) != it->length)
            die("pwrite");
    }
    for (int file = 0; file < SLOT_FILES; file++)
        close(files[file]);
    log_path(path, sizeof path, ledger->directory, LOG_APPEND, 0);
    close(made(path));
    for (int lane = 0; lane < plan->lanes; lane++) {
        log_path(path, sizeof path, ledger->directory, LOG_OWN, lane);
        close(made(path));
    }
    if (plan->topology != FAMILY)
        return;
    log_path(path, sizeof path, ledger->directory, LOG_SHARED, 0);
    int fd = made(path);
    for (long at = 0; at < SHARED_LOG_SIZE; at += LONGEST) {
        long count = SHARED_LOG_SIZE - at < LONGEST ? SHARED_LOG_SIZE - at : LONGEST;
        background(plan, at, count, new);
        if (pwrite(fd, new, (size_t)count, at) != count)
            die("pwrite");
    }
    close(fd);
}

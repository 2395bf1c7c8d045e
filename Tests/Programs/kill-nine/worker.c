// Writes until it is killed. Runs under the preload, or without it for comparison.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill.h"

// One lane as its process (or thread) has it.
struct hand {
    struct ledger *ledger;
    const struct plan *plan;
    struct lane_ledger *mine;
    int lane;
    uint64_t random;
    int positioned[SLOT_FILES]; // family: inherited, so that descriptions, not only files, are shared
    int own[SLOT_FILES];        // its own description: implicit offsets
    int log[LOGS];
    int slots, slot[SLOTS];     // all of the lane
    int targets, target[SLOTS]; // those that this life writes
    unsigned char bytes[LONGEST], seen[LONGEST];
};

static struct ledger *shared;

static void give_up(struct hand *hand, const char *format, ...)
{
    int error = errno;
    char text[120];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(hand->mine->complaint, sizeof hand->mine->complaint, "%s (errno %s)", text, strerrorname_np(error));
    _exit(3);
}

static int opened(struct hand *hand, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        give_up(hand, "open %s", path);
    return fd;
}

static int open_slots(struct hand *hand, int file)
{
    char path[600];
    slot_path(path, sizeof path, shared->directory, file);
    return opened(hand, path, O_RDWR);
}

static int open_log(struct hand *hand, enum log_kind log)
{
    char path[600];
    log_path(path, sizeof path, shared->directory, log, hand->lane);
    int fd = opened(hand, path, log == LOG_APPEND ? O_WRONLY | O_APPEND : O_RDWR);
    if (log == LOG_OWN && lseek(fd, 0, SEEK_END) < 0)
        give_up(hand, "lseek to the end");
    return fd;
}

static uint64_t random_below(struct hand *hand, uint64_t bound) { return below(&hand->random, bound); }

static struct hand *new_hand(int lane)
{
    struct hand *hand = calloc(1, sizeof *hand);
    if (hand == NULL)
        _exit(4);
    hand->ledger = shared;
    hand->plan = &shared->plan;
    hand->lane = lane;
    hand->mine = &shared->lane[lane];
    hand->random = mix(shared->plan.seed ^ mix((uint64_t)lane << 32 | hand->mine->life));
    // Some lives write nothing but small slots, or none of them: else a kill would seldom meet a small write.
    uint64_t taste = random_below(hand, 4);
    for (int slot = 0; slot < shared->plan.slots; slot++) {
        if (shared->plan.slot[slot].lane != lane)
            continue;
        hand->slot[hand->slots++] = slot;
        bool is_small = shared->plan.slot[slot].length < SMALL;
        if (taste == 0 || (taste == 1 && is_small) || (taste > 1 && !is_small))
            hand->target[hand->targets++] = slot;
    }
    return hand;
}

static int any_target(struct hand *hand) { return hand->target[random_below(hand, (uint64_t)hand->targets)]; }

// ---- calls ------------------------------------------------------------------------------------------------------
static int in_parts(struct hand *hand, unsigned char *bytes, long length, struct iovec *parts)
{
    int count = 1 + (int)random_below(hand, 8);
    for (int i = 0; i < count; i++) {
        long part = i == count - 1 ? length : (long)random_below(hand, (uint64_t)length + 1);
        parts[i] = (struct iovec){bytes, (size_t)part};
        bytes += part;
        length -= part;
    }
    return count;
}

static ssize_t moved(struct hand *hand, const struct slot *slot, unsigned char *bytes, bool write_it)
{
    struct iovec parts[8];
    size_t length = (size_t)slot->length;
    int fd = hand->own[slot->file], count;
    switch (random_below(hand, 4)) {
    case 0:
        fd = hand->positioned[slot->file];
        return write_it ? pwrite(fd, bytes, length, slot->offset) : pread(fd, bytes, length, slot->offset);
    case 1:
        fd = hand->positioned[slot->file];
        count = in_parts(hand, bytes, slot->length, parts);
        return write_it ? pwritev(fd, parts, count, slot->offset) : preadv(fd, parts, count, slot->offset);
    case 2:
        lseek(fd, slot->offset, SEEK_SET);
        return write_it ? write(fd, bytes, length) : read(fd, bytes, length);
    default:
        lseek(fd, slot->offset, SEEK_SET);
        count = in_parts(hand, bytes, slot->length, parts);
        return write_it ? writev(fd, parts, count) : readv(fd, parts, count);
    }
}

static void lock_against_the_rules(bool take)
{
    pid_t free_ = 0;
    if (!take)
        atomic_store(&shared->lock, 0);
    else
        while (!atomic_compare_exchange_weak(&shared->lock, &free_, getpid()))
            free_ = 0;
}

static void write_slot(struct hand *hand, int index)
{
    const struct slot *slot = &hand->plan->slot[index];
    struct slot_ledger *entry = &shared->slot[index];
    uint32_t version = atomic_load(&entry->acknowledged) + 1;
    enum sabotage sabotage = shared->sabotage;
    slot_bytes(hand->plan, index, version, hand->bytes);
    if (sabotage == HOLD_LOCK)
        lock_against_the_rules(true);
    atomic_store(&entry->begun, version);
    if (sabotage == ACKNOWLEDGE_EARLY)
        atomic_store(&entry->acknowledged, version);
    ssize_t result = slot->length;
    if (sabotage == SPLIT_SMALL && slot->length > 1 && slot->length < SMALL) {
        long half = slot->length / 2;
        pwrite(hand->positioned[slot->file], hand->bytes, (size_t)half, slot->offset);
        pwrite(hand->positioned[slot->file], hand->bytes + half, (size_t)(slot->length - half), slot->offset + half);
    } else if (sabotage != LOSE_SOME || version % 16 != 0) {
        result = moved(hand, slot, hand->bytes, true);
    }
    if (result != slot->length)
        give_up(hand, "write of %ld bytes at %ld gave %zd", slot->length, slot->offset, result);
    atomic_store(&entry->acknowledged, version);
    if (sabotage == HOLD_LOCK)
        lock_against_the_rules(false);
    atomic_fetch_add(&hand->mine->acknowledged, 1);
}

static void read_slot(struct hand *hand, int index)
{
    const struct slot *slot = &hand->plan->slot[index];
    slot_bytes(hand->plan, index, atomic_load(&shared->slot[index].acknowledged), hand->bytes);
    ssize_t result = moved(hand, slot, hand->seen, false);
    if (result != slot->length)
        give_up(hand, "read of %ld bytes at %ld gave %zd", slot->length, slot->offset, result);
    if (memcmp(hand->bytes, hand->seen, (size_t)slot->length) != 0)
        atomic_fetch_add(&hand->mine->wrong_reads, 1);
}

static void write_record(struct hand *hand, enum log_kind log)
{
    uint32_t number = atomic_load(&hand->mine->next[log]);
    if (number >= RECORDS || hand->log[log] < 0)
        return;
    long length = record_length(hand->plan, log, hand->lane, number);
    record_bytes(hand->plan, log, hand->lane, number, hand->bytes);
    atomic_store(&hand->mine->next[log], number + 1);
    if (shared->sabotage == ACKNOWLEDGE_EARLY)
        atomic_store(&hand->mine->recorded[log][number], 1);
    ssize_t result;
    struct iovec parts[8];
    if (random_below(hand, 3) == 0)
        result = writev(hand->log[log], parts, in_parts(hand, hand->bytes, length, parts));
    else
        result = write(hand->log[log], hand->bytes, (size_t)length);
    if (result != length)
        give_up(hand, "record of %ld bytes gave %zd", length, result);
    atomic_store(&hand->mine->recorded[log][number], 1);
    atomic_fetch_add(&hand->mine->acknowledged, 1);
}

// Forks without exec: the child has the descriptors and none of the windows.
static void write_in_child(struct hand *hand)
{
    int index = any_target(hand);
    pid_t child = fork();
    if (child == 0) {
        write_slot(hand, index);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        give_up(hand, "child: status %#x", status);
}

static void open_again(struct hand *hand)
{
    int file = (int)random_below(hand, SLOT_FILES);
    switch (random_below(hand, 3)) {
    case 0:
        close(hand->own[file]);
        hand->own[file] = open_slots(hand, file);
        break;
    case 1: { // over the old one
        int fd = open_slots(hand, file);
        dup3(fd, hand->own[file], O_CLOEXEC);
        close(fd);
        break;
    }
    default:
        close(hand->log[LOG_OWN]);
        hand->log[LOG_OWN] = open_log(hand, LOG_OWN);
    }
}

static void fork_wanted(struct hand *hand);

static void work(struct hand *hand)
{
    bool family = hand->plan->topology == FAMILY;
    // What an earlier life left must be what the ledger says, as this process sees it.
    for (int i = 0; i < hand->slots; i++)
        read_slot(hand, hand->slot[i]);
    for (uint64_t turn = 1;; turn++) {
        uint64_t kind = random_below(hand, 1000);
        if (kind < 700)
            write_slot(hand, any_target(hand));
        else if (kind < 800)
            read_slot(hand, hand->slot[random_below(hand, (uint64_t)hand->slots)]);
        else if (kind < 980)
            write_record(hand, (enum log_kind)(kind % LOGS));
        else if (kind < 985)
            fdatasync(hand->own[kind % SLOT_FILES]);
        else if (kind < 995)
            open_again(hand);
        else if (!family)
            write_in_child(hand);
        atomic_fetch_add(&hand->mine->operations, 1);
        if (family && hand->lane == 0)
            fork_wanted(hand);
        if (turn % 256 == 0 && kill(shared->supervisor, 0) != 0)
            _exit(5);
    }
}

static void *thread(void *hand)
{
    work(hand);
    return NULL;
}

static void open_own(struct hand *hand)
{
    for (int file = 0; file < SLOT_FILES; file++)
        hand->own[file] = open_slots(hand, file);
    hand->log[LOG_APPEND] = open_log(hand, LOG_APPEND);
    hand->log[LOG_OWN] = open_log(hand, LOG_OWN);
}

// The parent of a family is asked for its children one by one, whatever it is just doing.
static void fork_wanted(struct hand *hand)
{
    for (int lane = 1; lane < hand->plan->lanes; lane++) {
        if (!atomic_load(&shared->lane[lane].wanted))
            continue;
        atomic_store(&shared->lane[lane].wanted, false);
        pid_t child = fork();
        if (child < 0)
            give_up(hand, "fork");
        if (child > 0)
            continue;
        close(LIFE_DESCRIPTOR); // it tells of the parent; this child is known by its own number
        struct hand *heir = new_hand(lane);
        memcpy(heir->positioned, hand->positioned, sizeof heir->positioned);
        heir->log[LOG_SHARED] = hand->log[LOG_SHARED];
        open_own(heir);
        atomic_store(&heir->mine->pid, getpid());
        work(heir);
    }
}

int worker(int lane)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, LEDGER_DESCRIPTOR, 0);
    if (shared == MAP_FAILED)
        return 4;
    struct hand *hand = new_hand(lane);
    atomic_store(&hand->mine->pid, getpid());
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || fcntl(LIFE_DESCRIPTOR, F_GETFD) < 0)
        give_up(hand, "start");
    for (int file = 0; file < SLOT_FILES; file++)
        hand->positioned[file] = open_slots(hand, file);
    hand->log[LOG_SHARED] = -1;
    if (shared->plan.topology == FAMILY) {
        signal(SIGCHLD, SIG_IGN); // nobody waits for children that are killed
        hand->log[LOG_SHARED] = open_log(hand, LOG_SHARED);
    }
    open_own(hand);
    if (shared->plan.topology == THREADS) {
        struct hand *other = new_hand(1);
        pthread_t unused;
        memcpy(other->positioned, hand->positioned, sizeof other->positioned);
        other->log[LOG_SHARED] = -1;
        open_own(other);
        atomic_store(&other->mine->pid, getpid());
        if (pthread_create(&unused, NULL, thread, other) != 0)
            give_up(hand, "pthread_create");
    }
    work(hand);
    return 0;
}

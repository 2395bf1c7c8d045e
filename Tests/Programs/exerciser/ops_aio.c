// Asynchronous input and output. None of it passes a function of libc that a preload sees: the kernel's own (io_submit)
// and its rings are system calls, and libc's aio_* read and write in threads inside libc. So all of it is done by the
// kernel, beside mappings of the same file, and must be found there at once.
#include "exerciser.h"

#include <aio.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum way { KERNEL, POSIX, LIST, RING };
enum { MOST_PARTS = 3 };

// ---- by the kernel

static long queue_make(aio_context_t *queue)
{
    return syscall(SYS_io_setup, MOST_PARTS, queue);
}

// The queue is made once for a process: to end it takes the kernel 10 ms and more. A child does not inherit it.
static long by_kernel(bool writes, struct aio_part *parts, int count)
{
    static aio_context_t queue;
    static pid_t owner;
    struct iocb blocks[MOST_PARTS] = {0}, *pointers[MOST_PARTS] = {0};
    struct io_event events[MOST_PARTS];
    if (owner != getpid()) {
        queue = 0;
        owner = getpid();
        if (queue_make(&queue) != 0) return owner = 0, -1;
    }
    int begun = 0;
    for (int number = 0; number < count; number++) {
        blocks[number] = (struct iocb){
            .aio_data = (uint64_t)number,
            .aio_lio_opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
            .aio_fildes = (uint32_t)parts[number].fd,
            .aio_buf = (uint64_t)(uintptr_t)parts[number].buffer,
            .aio_nbytes = parts[number].length,
            .aio_offset = parts[number].offset,
        };
        pointers[number] = &blocks[number];
    }
    // One that is refused ends the call; those behind it are told that they were not begun.
    while (begun < count) {
        long taken = syscall(SYS_io_submit, queue, count - begun, pointers + begun);
        if (taken > 0) begun += (int)taken;
        else break;
    }
    int error = errno;
    for (int number = begun; number < count; number++) parts[number].result = number == begun ? -error : -ECANCELED;
    for (int ended = 0; ended < begun;) {
        long got = syscall(SYS_io_getevents, queue, 1, begun - ended, events, NULL);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        for (long each = 0; each < got; each++) parts[events[each].data].result = events[each].res;
        ended += (int)got;
    }
    return 0;
}

// ---- by libc's threads

static long by_posix(bool writes, struct aio_part *parts, int count, bool as_list)
{
    struct aiocb blocks[MOST_PARTS] = {0}, *pointers[MOST_PARTS] = {0};
    for (int number = 0; number < count; number++) {
        blocks[number].aio_fildes = parts[number].fd;
        blocks[number].aio_buf = parts[number].buffer;
        blocks[number].aio_nbytes = parts[number].length;
        blocks[number].aio_offset = parts[number].offset;
        blocks[number].aio_lio_opcode = writes ? LIO_WRITE : LIO_READ;
        pointers[number] = &blocks[number];
    }
    if (as_list && lio_listio(LIO_WAIT, pointers, count, NULL) != 0 && errno != EIO) return -1;
    for (int number = 0; number < count; number++) {
        const struct aiocb *one = pointers[number];
        if (!as_list && (writes ? aio_write(pointers[number]) : aio_read(pointers[number])) != 0) {
            parts[number].result = -errno;
            continue;
        }
        while (aio_error(one) == EINPROGRESS) aio_suspend(&one, 1, NULL);
        int error = aio_error(one);
        ssize_t moved = aio_return(pointers[number]);
        parts[number].result = error != 0 ? -error : moved;
    }
    return 0;
}

// ---- by a ring

struct ring {
    int fd;
    unsigned char *rings;
    struct io_uring_sqe *entries;
    struct io_uring_params parameters;
};

static void ring_end(struct ring *ring)
{
    const struct io_uring_params *made = &ring->parameters;
    if (ring->entries != MAP_FAILED) munmap(ring->entries, made->sq_entries * sizeof *ring->entries);
    size_t length = made->cq_off.cqes + made->cq_entries * sizeof(struct io_uring_cqe);
    if (ring->rings != MAP_FAILED) munmap(ring->rings, length);
    close(ring->fd);
}

static bool ring_make(struct ring *ring)
{
    memset(&ring->parameters, 0, sizeof ring->parameters);
    int low = (int)syscall(SYS_io_uring_setup, 4, &ring->parameters);
    if (low < 0) return false;
    // Out of the way of the numbers under test, and gone after exec.
    ring->fd = fcntl(low, F_DUPFD_CLOEXEC, 900);
    close(low);
    if (ring->fd < 0) return false;
    const struct io_uring_params *made = &ring->parameters;
    size_t length = made->cq_off.cqes + made->cq_entries * sizeof(struct io_uring_cqe);
    ring->rings = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
    ring->entries = mmap(NULL, made->sq_entries * sizeof *ring->entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
                         IORING_OFF_SQES);
    // One mapping for both rings since Linux 5.4.
    if (ring->rings != MAP_FAILED && ring->entries != MAP_FAILED && (made->features & IORING_FEAT_SINGLE_MMAP) != 0)
        return true;
    ring_end(ring);
    return false;
}

static unsigned *ring_word(const struct ring *ring, unsigned offset)
{
    return (unsigned *)(void *)(ring->rings + offset);
}

// One after another: what goes to other threads of the kernel has no order.
static bool ring_one(const struct ring *ring, bool writes, struct aio_part *part)
{
    const struct io_uring_params *made = &ring->parameters;
    unsigned *tail = ring_word(ring, made->sq_off.tail), *head = ring_word(ring, made->cq_off.head);
    unsigned place = *tail & *ring_word(ring, made->sq_off.ring_mask);
    struct iovec vector = {part->buffer, part->length};
    ring->entries[place] = (struct io_uring_sqe){
        .opcode = writes ? IORING_OP_WRITEV : IORING_OP_READV,
        .fd = part->fd,
        .addr = (uint64_t)(uintptr_t)&vector,
        .len = 1,
        .off = (uint64_t)part->offset,
    };
    ring_word(ring, made->sq_off.array)[place] = place;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    long taken;
    do taken = syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    while (taken < 0 && errno == EINTR);
    if (taken != 1 || __atomic_load_n(ring_word(ring, made->cq_off.tail), __ATOMIC_ACQUIRE) == *head) return false;
    const struct io_uring_cqe *ended = (const void *)(ring->rings + made->cq_off.cqes);
    part->result = ended[*head & *ring_word(ring, made->cq_off.ring_mask)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return true;
}

// The ring, too, is made once for a process. The end of one is announced to the process as a signal is, some time
// later, and cuts a sendfile short that is under way (Linux 6.18).
static long by_ring(bool writes, struct aio_part *parts, int count)
{
    static struct ring ring;
    static pid_t owner;
    if (owner != getpid()) {
        if (!ring_make(&ring)) return -1;
        owner = getpid();
    }
    for (int number = 0; number < count; number++)
        if (!ring_one(&ring, writes, &parts[number])) return -1;
    return 0;
}

long plain_aio(int way, bool writes, struct aio_part *parts, int count)
{
    switch (way) {
    case KERNEL: return by_kernel(writes, parts, count);
    case RING: return by_ring(writes, parts, count);
    default: return by_posix(writes, parts, count, way == LIST);
    }
}

// ---- the operations

// Threads of libc do not outlive fork, and they and rings need memory and shared mappings, which mode faults takes
// away.
static bool may(enum way way)
{
    unsigned modes = running->sequence->modes;
    if (way == KERNEL) return true;
    return (modes & MODE_FAULTS) == 0 && (way == RING || (modes & (MODE_FORK | MODE_KILL)) == 0);
}

static void transfer(struct side *side, const struct op *op, const struct place *place, struct result *result,
                     bool writes)
{
    struct aio_part parts[MOST_PARTS];
    struct stat status;
    int fd = side_fd(side, op->slot);
    // A pipe would have it wait for ever.
    if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
        result->skipped = true;
        return;
    }
    if (!may((enum way)place->value)) {
        result->skipped = true;
        return;
    }
    unsigned char *buffer = side_buffer(side, op, place->length, result);
    int count = op->fault == FAULT_NONE && place->length >= MOST_PARTS ? 1 + op->shape % MOST_PARTS : 1;
    size_t done = 0;
    for (int number = 0; number < count; number++) {
        size_t length = number + 1 == count ? place->length - done : place->length / (size_t)count;
        parts[number] = (struct aio_part){fd, buffer + done, length, place->offset + (int64_t)done, 0};
        done += length;
    }
    if (side->calls->aio(place->value, writes, parts, count) != 0) {
        // Not to be had here: no rings, or no queue.
        result->skipped = true;
        return;
    }
    for (int number = 0; number < count; number++) {
        result->extra = result->extra * 31 + parts[number].result;
        if (result->ret >= 0) result->ret = parts[number].result < 0 ? -1 : result->ret + parts[number].result;
        if (parts[number].result < 0 && result->err == 0) result->err = (int)-parts[number].result;
    }
}

static void run_aio_read(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    transfer(side, op, place, result, false);
}

static void run_aio_write(struct side *side, const struct op *op, const struct place *place, struct result *result)
{
    transfer(side, op, place, result, true);
}

static const struct choice ways[] = {
    {"kernel", KERNEL, 4}, {"posix", POSIX, 2}, {"list", LIST, 2}, {"ring", RING, 4}, {NULL, 0, 0},
};

static const struct kind kinds[] = {
    {"aio-read", 30, SLOT | OFFSET | LENGTH | BUFFER | SHAPE | CHOICE, 0, ways, run_aio_read},
    {"aio-write", 30, SLOT | OFFSET | LENGTH | BUFFER | SHAPE | CHOICE, EXTENDS | FILLS | UNSEEN, ways, run_aio_write},
};

const struct group aio_group = {"aio", kinds, sizeof kinds / sizeof *kinds};

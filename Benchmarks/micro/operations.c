// The measured loops. Each checks every result: a call that fails or moves fewer bytes must not look fast.
#include "operations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static inline uint64_t next_offset(struct micro_state *state)
{
    state->random = state->random * 6364136223846793005ull + 1442695040888963407ull;
    // Sizes are powers of two: a multiple of the size, anywhere in the file.
    return (state->random >> 20) & (MICRO_FILE_SIZE - 1) & ~(uint64_t)(state->size - 1);
}

// The copied bytes are used: nothing may be dropped.
static inline void keep(struct micro_state *state)
{
    __asm__ volatile("" : : "r"(state->buffer) : "memory");
}

static inline void expect(ssize_t result, size_t size, const char *what)
{
    if (__builtin_expect(result != (ssize_t)size, 0))
        micro_fail(what);
}

static void segments(struct micro_state *state, struct iovec *vector)
{
    size_t each = state->size / state->row->count;
    for (uint32_t i = 0; i < state->row->count; i++)
        vector[i] = (struct iovec){state->buffer + i * each, each};
}

// Implicit offsets start again at the end of the file, in the calls' loops by lseek, here by hand.
static inline uint64_t next_sequential(struct micro_state *state)
{
    uint64_t offset = state->position;
    state->position = (offset + state->size) & (MICRO_FILE_SIZE - 1);
    return offset;
}

static void run_memcpy(struct micro_state *state, uint64_t operations)
{
    switch (state->row->operation) {
    case MICRO_PREAD:
    case MICRO_PREADV:
        for (uint64_t i = 0; i < operations; i++) {
            memcpy(state->buffer, state->map + next_offset(state), state->size);
            keep(state);
        }
        break;
    case MICRO_PREAD_SEQUENTIAL:
    case MICRO_READ:
    case MICRO_READV:
        for (uint64_t i = 0; i < operations; i++) {
            memcpy(state->buffer, state->map + next_sequential(state), state->size);
            keep(state);
        }
        break;
    case MICRO_WRITE:
        for (uint64_t i = 0; i < operations; i++) {
            memcpy(state->map + next_sequential(state), state->buffer, state->size);
            keep(state);
        }
        break;
    case MICRO_WRITE_READ_BACK:
        for (uint64_t i = 0; i < operations; i++) {
            uint64_t offset = next_offset(state);
            memcpy(state->map + offset, state->buffer, state->size);
            keep(state);
            memcpy(state->buffer, state->map + offset, state->size);
            keep(state);
        }
        break;
    default: // the overwriting rows
        for (uint64_t i = 0; i < operations; i++) {
            memcpy(state->map + next_offset(state), state->buffer, state->size);
            keep(state);
        }
    }
}

// One pass over the file costs one lseek: 1 in 65,536 calls of 4 KiB.
static void rewind_at_end(struct micro_state *state)
{
    state->position = (state->position + state->size) & (MICRO_FILE_SIZE - 1);
    if (state->position == 0 && lseek(state->fd, 0, SEEK_SET) != 0)
        micro_fail("lseek");
}

static void run_open_read_close(struct micro_state *state, uint64_t operations)
{
    const char *path = state->small_paths[0];
    for (uint64_t i = 0; i < operations; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            micro_fail("open");
        for (uint32_t n = 0; n < state->row->count; n++)
            expect(read(fd, state->buffer, state->size), state->size, "read");
        if (close(fd) != 0)
            micro_fail("close");
    }
}

static void run_small_files(struct micro_state *state, uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        int fd = open(state->small_paths[state->position++ % MICRO_SMALL_FILES], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            micro_fail("open");
        ssize_t result;
        while ((result = read(fd, state->buffer, state->size)) > 0)
            state->sum += (uint64_t)result;
        if (result < 0 || close(fd) != 0)
            micro_fail("read or close");
    }
}

static void run_calls(struct micro_state *state, uint64_t operations)
{
    const size_t size = state->size;
    const int fd = state->fd, count = (int)state->row->count;
    unsigned char *buffer = state->buffer;
    struct iovec vector[8];
    segments(state, vector);
    switch (state->row->operation) {
    case MICRO_PREAD:
        for (uint64_t i = 0; i < operations; i++)
            expect(pread(fd, buffer, size, (off_t)next_offset(state)), size, "pread");
        break;
    case MICRO_PREADV:
        for (uint64_t i = 0; i < operations; i++)
            expect(preadv(fd, vector, count, (off_t)next_offset(state)), size, "preadv");
        break;
    case MICRO_PREAD_SEQUENTIAL:
        for (uint64_t i = 0; i < operations; i++)
            expect(pread(fd, buffer, size, (off_t)next_sequential(state)), size, "pread");
        break;
    case MICRO_READ:
        for (uint64_t i = 0; i < operations; i++, rewind_at_end(state))
            expect(read(fd, buffer, size), size, "read");
        break;
    case MICRO_READV:
        for (uint64_t i = 0; i < operations; i++, rewind_at_end(state))
            expect(readv(fd, vector, count), size, "readv");
        break;
    case MICRO_PWRITE:
        for (uint64_t i = 0; i < operations; i++)
            expect(pwrite(fd, buffer, size, (off_t)next_offset(state)), size, "pwrite");
        break;
    case MICRO_PWRITEV:
        for (uint64_t i = 0; i < operations; i++)
            expect(pwritev(fd, vector, count, (off_t)next_offset(state)), size, "pwritev");
        break;
    case MICRO_WRITE:
        for (uint64_t i = 0; i < operations; i++, rewind_at_end(state))
            expect(write(fd, buffer, size), size, "write");
        break;
    case MICRO_WRITE_READ_BACK:
        for (uint64_t i = 0; i < operations; i++) {
            off_t offset = (off_t)next_offset(state);
            expect(pwrite(fd, buffer, size, offset), size, "pwrite");
            expect(pread(fd, buffer, size, offset), size, "pread");
        }
        break;
    case MICRO_PWRITE_FSYNC:
        for (uint64_t i = 0; i < operations; i++) {
            expect(pwrite(fd, buffer, size, (off_t)next_offset(state)), size, "pwrite");
            expect(fsync(fd), 0, "fsync");
        }
        break;
    case MICRO_EXTEND:
    case MICRO_EXTEND_AGAIN:
    case MICRO_EXTEND_APPEND:
    case MICRO_EXTEND_MAPPED:
        for (uint64_t i = 0; i < operations; i++)
            expect(write(fd, buffer, size), size, "write");
        break;
    case MICRO_OPEN_READ_CLOSE:
        run_open_read_close(state, operations);
        break;
    case MICRO_SMALL_FILES_READ:
        run_small_files(state, operations);
        break;
    }
}

void micro_run(struct micro_state *state, uint64_t operations)
{
    if (state->mode == MICRO_MEMCPY)
        run_memcpy(state, operations);
    else
        run_calls(state, operations);
    state->sum += state->buffer[0] + state->buffer[state->size - 1];
}

// What AddressSanitizer must report, for the tests that prove that it can: `overruns CASE DIRECTORY`, under its runtime
// and a libpmemshim.so built with it (scripts/test --sanitize). Each case but `exact` ends where it is found; the heap
// of a run without the sanitizer would be damaged.
//
// Every part of the library is led to touch memory that the program owns: the guarded copies (assembly), the C face,
// and the engine (Swift).
#include "transcript.h"

static void *heap(size_t size)
{
    void *block = malloc(size);
    if (!block)
        die("malloc");
    return block;
}

static int served_file(void) { return open_file("file", 1, O_RDWR); }

// The same calls with room enough: nothing may be reported.
static void exact(void)
{
    int fd = served_file();
    char *buffer = heap(2 * PAGE);
    CALL(pread(fd, buffer, 2 * PAGE, PAGE));
    CALL(pwrite(fd, buffer, 2 * PAGE, PAGE));
    struct iovec *vector = heap(2 * sizeof *vector);
    vector[0] = (struct iovec){buffer, PAGE};
    vector[1] = (struct iovec){buffer + PAGE, PAGE};
    CALL(preadv(fd, vector, 2, 0));
    CALL(pwritev(fd, vector, 2, 0));
    int *ends = heap(2 * sizeof *ends);
    CALL(pipe(ends));
}

static void served_read(void)
{
    int fd = served_file();
    pread(fd, heap(PAGE), PAGE + 1, PAGE);
}

static void served_write(void)
{
    int fd = served_file();
    pwrite(fd, heap(PAGE), PAGE + 1, PAGE);
}

// Freed, not too short.
static void served_read_into_freed(void)
{
    int fd = served_file();
    char *volatile buffer = heap(PAGE); // the compiler sees through it otherwise
    free(buffer);
    pread(fd, buffer, PAGE, PAGE);
}

// The array is too short: the engine copies it before it copies what it names.
static void vector_array(void)
{
    int fd = served_file();
    char buffer[PAGE];
    struct iovec *vector = heap(sizeof *vector);
    vector[0] = (struct iovec){buffer, sizeof buffer};
    preadv(fd, vector, 2, 0);
}

static void pipe_ends(void) { pipe(heap(sizeof(int))); }

PROGRAM({"exact", exact}, {"served-read", served_read}, {"served-write", served_write},
        {"served-read-into-freed", served_read_into_freed}, {"vector-array", vector_array}, {"pipe-ends", pipe_ends})

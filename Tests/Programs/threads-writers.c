// Writers of one range at the same time: afterwards it is one writer's, as the kernel's inode lock has it.
#include <pthread.h>

#include "transcript.h"

#define WRITERS 3
#define AT 12345l

enum how { PWRITE, PWRITEV, WRITE, MIXED };
static enum how how;
static long length, rounds, failed;
static pthread_barrier_t barrier;

static long write_once(int fd, enum how by, unsigned char *bytes)
{
    struct iovec parts[3] = {{bytes, 100}, {bytes + 100, (size_t)length / 2}, {bytes, 0}};
    parts[2].iov_len = (size_t)length - 100 - parts[1].iov_len;
    parts[2].iov_base = bytes + 100 + parts[1].iov_len;
    switch (by) {
    case PWRITEV: return pwritev(fd, parts, 3, AT);
    case WRITE: return lseek(fd, AT, SEEK_SET) == AT ? write(fd, bytes, (size_t)length) : -1;
    default: return pwrite(fd, bytes, (size_t)length, AT);
    }
}

static void *writer(void *argument)
{
    int tag = (int)(long)argument, fd = open("file", O_RDWR);
    unsigned char *bytes = malloc((size_t)length);
    memset(bytes, tag, (size_t)length);
    warm(fd);
    for (long i = 0; i < rounds; i++) {
        pthread_barrier_wait(&barrier);
        for (volatile long spin = (i * 31 + tag * 977) % 300; spin > 0; spin--)
            continue;
        // Several at a time, so that some meet in the middle.
        for (int k = 0; k < 4; k++)
            if (write_once(fd, how == MIXED ? (enum how)((tag + k) % 3) : how, bytes) != length)
                __atomic_add_fetch(&failed, 1, __ATOMIC_RELAXED);
        pthread_barrier_wait(&barrier);
    }
    close(fd);
    free(bytes);
    return NULL;
}

static void writers_do_not_mix(enum how by, long bytes_each, long times)
{
    static const char *const names[] = {"pwrite", "pwritev", "write", "mixed calls"};
    how = by;
    length = bytes_each;
    rounds = times;
    failed = 0;
    int fd = open_file("file", 1, O_RDWR);
    unsigned char *seen = malloc((size_t)length);
    pthread_t threads[WRITERS];
    pthread_barrier_init(&barrier, NULL, WRITERS + 1);
    for (long i = 0; i < WRITERS; i++)
        if (pthread_create(&threads[i], NULL, writer, (void *)(i + 1)) != 0)
            die("pthread_create");
    long mixed = 0;
    for (long i = 0; i < rounds; i++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        if (raw(SYS_pread64, fd, (long)seen, length, AT, 0, 0) != length)
            die("pread");
        mixed += seen[0] < 1 || seen[0] > WRITERS || memcmp(seen, seen + 1, (size_t)length - 1) != 0;
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    close(fd);
    free(seen);
    say("%s of %ld bytes: %ld mixed, %ld failed", names[by], length, mixed, failed);
}

static void small(void)
{
    for (int i = PWRITE; i <= MIXED; i++)
        writers_do_not_mix((enum how)i, 600, 300);
}

static void pages(void)
{
    for (int i = PWRITE; i <= MIXED; i++)
        writers_do_not_mix((enum how)i, 3 * PAGE + 100, 300);
}

// Longer than one stripe of the shim's, and than a turn of a thread on a processor may last.
static void large(void)
{
    for (int i = PWRITE; i <= MIXED; i++)
        writers_do_not_mix((enum how)i, 300000, 60);
}

static void huge(void)
{
    for (int i = PWRITE; i <= MIXED; i++)
        writers_do_not_mix((enum how)i, 3 << 20, 15);
}

PROGRAM({"small", small}, {"pages", pages}, {"large", large}, {"huge", huge})

// Threads cancelled in the middle of their calls, deferred and at any instruction.
#include <pthread.h>

#include "storm.h"

static unsigned char bytes_written[300000];
static int fd, shared;
static volatile long cleaned;
static long wrong;

static void clean(void *unused)
{
    (void)unused;
    cleaned++;
}

static void work(int kind, long i)
{
    unsigned char bytes[20000];
    long at = i * 4099 % (4 << 20);
    switch (kind % 5) {
    case 0:
        if (pread(fd, bytes, sizeof bytes, at) != sizeof bytes)
            __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        break;
    case 1: pwrite(fd, bytes_written, sizeof bytes_written, at); break;
    case 2: read(shared, bytes, sizeof bytes); break;
    case 3: write(shared, bytes_written, 20000); break;
    default: {
        struct iovec parts[2] = {{bytes_written, 3000}, {bytes_written, 10000}};
        pwritev(fd, parts, 2, at);
    }
    }
    if (i % 100 == 0)
        lseek(shared, 0, SEEK_SET);
}

struct order {
    int kind, type;
    bool started;
};

static void *until_cancelled(void *argument)
{
    struct order *order = argument;
    pthread_setcanceltype(order->type, NULL);
    pthread_cleanup_push(clean, NULL);
    __atomic_store_n(&order->started, true, __ATOMIC_RELEASE);
    for (long i = 0;; i++)
        work(order->kind, i);
    pthread_cleanup_pop(1);
    return NULL;
}

static void *beside(void *argument)
{
    bool *done = argument;
    for (long i = 0; !__atomic_load_n(done, __ATOMIC_ACQUIRE); i++)
        work((int)(i % 5), i);
    return NULL;
}

// While another thread goes on with the same file: nothing may be left locked.
static void cancelled(int type, int times)
{
    fd = open_file("file", 1, O_RDWR);
    shared = open("file", O_RDWR);
    make_file("other", 2, 1 << 20);
    warm(shared);
    bool done = false;
    pthread_t other, thread;
    pthread_create(&other, NULL, beside, &done);
    long ended = 0;
    for (int i = 0; i < times; i++) {
        struct order order = {i, type, false};
        void *result;
        pthread_create(&thread, NULL, until_cancelled, &order);
        while (!__atomic_load_n(&order.started, __ATOMIC_ACQUIRE))
            sched_yield();
        usleep((unsigned)(i * 37 % 200));
        pthread_cancel(thread);
        pthread_join(thread, &result);
        ended += result == PTHREAD_CANCELED;
    }
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    pthread_join(other, NULL);
    say("%ld cancelled, %ld cleaned, %ld wrong", ended, cleaned, wrong);
    unsigned char bytes[PAGE * 2];
    long failed = 0;
    for (long at = 0; at < FILE_SIZE; at += PAGE * 2) {
        long count = FILE_SIZE - at < PAGE * 2 ? FILE_SIZE - at : PAGE * 2;
        fill(bytes, 3, at, count);
        failed += pwrite(fd, bytes, (size_t)count, at) != count;
    }
    say("%ld failed", failed);
    truth("file");
    say("comes and goes: %d", comes_and_goes("other", 300));
}

static void deferred(void) { cancelled(PTHREAD_CANCEL_DEFERRED, 60); }
static void asynchronous(void) { cancelled(PTHREAD_CANCEL_ASYNCHRONOUS, 120); }

PROGRAM({"deferred", deferred}, {"asynchronous", asynchronous})

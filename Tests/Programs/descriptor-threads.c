// Numbers that change their meaning while other threads read and write under them.
#include <pthread.h>

#include "transcript.h"

#define AT 40960l

static int swapped;
static bool done;
static long wrong, wrong_after;

static int origin(const unsigned char *bytes)
{
    for (int tag = 1; tag <= 2; tag++) {
        long i = 0;
        while (i < PAGE && bytes[i] == pattern(tag, AT + i))
            i++;
        if (i == PAGE)
            return tag;
    }
    return 0;
}

static void *keep_reading(void *unused)
{
    (void)unused;
    unsigned char bytes[PAGE];
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
        if (pread(swapped, bytes, PAGE, AT) != PAGE || origin(bytes) == 0)
            __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void swapped_while_read(void)
{
    swapped = open_file("one", 1, O_RDWR);
    make_file("two", 2, FILE_SIZE);
    int sources[] = {open("one", O_RDWR), open("two", O_RDWR)};
    warm(sources[0]);
    warm(sources[1]);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, keep_reading, NULL) != 0)
            die("pthread_create");
    unsigned char bytes[PAGE];
    for (int i = 0; i < 4000; i++) {
        dup2(sources[i % 2], swapped);
        for (int j = 0; j < 3; j++)
            if (pread(swapped, bytes, PAGE, AT) != PAGE || origin(bytes) != 1 + i % 2)
                wrong_after++;
    }
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    say("%ld reads beside the change were of neither file, %ld after it of the wrong one", wrong, wrong_after);
}

// Opened and closed over and over by several threads, each its own file: numbers wander between them.
static void *own_file(void *argument)
{
    int tag = (int)(long)argument;
    char name[8];
    snprintf(name, sizeof name, "own%d", tag);
    unsigned char bytes[PAGE];
    for (int i = 0; i < 500; i++) {
        int fd = open(name, O_RDWR | O_CLOEXEC);
        for (int j = 0; j < 6; j++) {
            long at = (i * 31 + j * 7) % 1000 * PAGE;
            bool good = pread(fd, bytes, PAGE, at) == PAGE;
            for (long k = 0; good && k < PAGE; k++)
                good = bytes[k] == pattern(tag, at + k);
            if (!good || pwrite(fd, bytes, PAGE, at) != PAGE)
                __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        }
        close(fd);
    }
    return NULL;
}

static void numbers_wander_between_threads(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "own%ld", i + 1);
        make_file(name, (int)i + 1, FILE_SIZE);
        if (pthread_create(&threads[i], NULL, own_file, (void *)(i + 1)) != 0)
            die("pthread_create");
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    say("%ld reads and writes of the wrong file", wrong);
    truth("own1");
    truth("own2");
    truth("own3");
    truth("own4");
}

PROGRAM({"swapped-while-read", swapped_while_read}, {"numbers-wander-between-threads", numbers_wander_between_threads})

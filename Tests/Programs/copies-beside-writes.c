// A copy inside the kernel beside a write of another thread to the same 64 KiB: natively one is whole and the other is
// gone.
#include <pthread.h>
#include <sys/sendfile.h>

#include "transcript.h"

#define SIZE (64l << 10)
#define ROUNDS 4000
static unsigned char written[2][SIZE];
static int file, source, pipe_ends[2];
static pthread_barrier_t barrier;

static void *writer(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        if (pwrite(file, written[i & 1], SIZE, SIZE) != SIZE)
            die("pwrite");
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static long by_copy_file_range(void)
{
    off64_t from = 0, to = SIZE;
    return copy_file_range(source, &from, file, &to, SIZE, 0);
}

static long by_sendfile(void)
{
    off_t from = 0;
    int to = open("file", O_RDWR);
    lseek(to, SIZE, SEEK_SET);
    long result = sendfile(to, source, &from, SIZE);
    close(to);
    return result;
}

static long by_splice(void)
{
    off64_t from = 0, to = SIZE;
    if (splice(source, &from, pipe_ends[1], NULL, SIZE, 0) != SIZE)
        die("splice");
    return splice(pipe_ends[0], NULL, file, &to, SIZE, 0);
}

static void mixed(long (*copy)(void))
{
    make_file("file", 1, 4 << 20);
    make_file("source", 2, 1 << 20);
    file = open("file", O_RDWR);
    source = open("source", O_RDWR);
    warm(file);
    if (pipe(pipe_ends) != 0)
        die("pipe");
    fcntl(pipe_ends[1], F_SETPIPE_SZ, 2 * SIZE);
    static unsigned char copied[SIZE], found[SIZE];
    memset(written[0], 'a', SIZE);
    memset(written[1], 'b', SIZE);
    memset(copied, 'c', SIZE);
    if (pwrite(source, copied, SIZE, 0) != SIZE)
        die("pwrite");
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread;
    pthread_create(&thread, NULL, writer, NULL);
    int mixtures = 0, shorts = 0;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        shorts += copy() != SIZE;
        pthread_barrier_wait(&barrier);
        raw(SYS_pread64, file, (long)found, SIZE, SIZE, 0, 0);
        if (memcmp(found, copied, SIZE) != 0 && memcmp(found, written[i & 1], SIZE) != 0)
            mixtures++;
        pthread_barrier_wait(&barrier);
    }
    pthread_join(thread, NULL);
    say("mixed %d, short %d of %d", mixtures, shorts, ROUNDS);
}

static void copy_file_range_case(void) { mixed(by_copy_file_range); }
static void sendfile_case(void) { mixed(by_sendfile); }
static void splice_case(void) { mixed(by_splice); }

// A splice that waits for an empty pipe keeps nobody from writing meanwhile, and ends when the pipe is closed.
static void *waiting_splice(void *unused)
{
    (void)unused;
    off64_t to = 0;
    long result = splice(pipe_ends[0], NULL, file, &to, SIZE, 0);
    return (void *)result;
}

static void empty_pipe(void)
{
    make_file("file", 1, 4 << 20);
    file = open("file", O_RDWR);
    warm(file);
    for (int round = 0; round < 2; round++) {
        if (pipe(pipe_ends) != 0)
            die("pipe");
        pthread_t thread;
        pthread_create(&thread, NULL, waiting_splice, NULL);
        usleep(20000);
        for (int i = 0; i < 20; i++)
            if (pwrite(file, written[0], 4096, 8192) != 4096)
                say("a short write");
        if (round == 0 && write(pipe_ends[1], "some bytes", 10) != 10)
            die("write");
        close(pipe_ends[1]);
        void *result;
        pthread_join(thread, &result);
        say("splice moved %ld", (long)result);
    }
    // Would block, and must not.
    if (pipe2(pipe_ends, O_NONBLOCK) != 0)
        die("pipe2");
    CALL(splice(pipe_ends[0], NULL, file, NULL, SIZE, 0));
    CALL(splice(pipe_ends[0], NULL, file, NULL, SIZE, SPLICE_F_NONBLOCK));
    truth("file");
}

PROGRAM({"copy_file_range", copy_file_range_case}, {"sendfile", sendfile_case}, {"splice", splice_case},
        {"empty-pipe", empty_pipe})

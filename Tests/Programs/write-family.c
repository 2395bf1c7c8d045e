// write, pwrite, writev, pwritev, pwritev2: results, offsets, bytes of the file as the kernel has them, and errors.
#include <pthread.h>
#include <time.h>

#include "transcript.h"

static unsigned char buffer[(2 << 20) + 64];

static const long lengths[] = {1,    7,    64,   100,   511,   512,    513,     1000,
                               4095, 4096, 4097, 10000, 65536, 100001, 1 << 20, 2 << 20};
#define LENGTHS (sizeof lengths / sizeof *lengths)

#define WRITE(fd, count)                                                                                               \
    do {                                                                                                               \
        CALL(write(fd, buffer, count));                                                                                \
        OFFSET(fd);                                                                                                    \
    } while (0)

static void sequential_overwrite(void)
{
    int fd = open_file("file", 1, O_RDWR);
    for (int round = 0; round < 2; round++) {
        CALL(lseek(fd, 3, SEEK_SET));
        for (size_t i = 0; i < LENGTHS; i++) {
            fill(buffer, 2 + round, (long)i, lengths[i]);
            WRITE(fd, (size_t)lengths[i]);
            WRITE(fd, (size_t)lengths[i] / 2);
        }
        truth("file");
    }
    say_bytes("read back", buffer, CALL(pread(fd, buffer, sizeof buffer, 4000)));
}

static void positioned_overwrite(void)
{
    int fd = open_file("file", 1, O_RDWR);
    CALL(lseek(fd, 4711, SEEK_SET));
    for (size_t i = 0; i < LENGTHS; i++) {
        for (long position = (long)i; position < FILE_SIZE; position += 777777 + (long)i * 4096) {
            fill(buffer, 2, position, lengths[i]);
            if (pwrite(fd, buffer, (size_t)lengths[i], position) != lengths[i])
                say("short pwrite of %ld at %ld", lengths[i], position);
        }
        truth("file");
    }
    OFFSET(fd);
    // Many in one clock tick, so that most are not the tick's first.
    for (int i = 0; i < 2000; i++) {
        long position = (long)i * 2711 % (FILE_SIZE - 8192);
        fill(buffer, 3 + i % 5, position, 4096);
        if (pwrite(fd, buffer, 4096, position) != 4096)
            say("short pwrite");
    }
    truth("file");
}

static void seen_by_other_processes(void)
{
    int fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < 8; i++) {
        fill(buffer, 2 + i, 8192, 20000);
        CALL(pwrite(fd, buffer, 20000, 8192));
        MODIFY("truth", "file", "8192", "20000");
        MODIFY("fill", "file", "10000", "3000", "9");
        say_bytes("read back", buffer, CALL(pread(fd, buffer, 20000, 8192)));
    }
    truth("file");
}

static void extension(void)
{
    int fd = open_file("file", 1, O_RDWR);
    fill(buffer, 2, 0, sizeof buffer);
    CALL(pwrite(fd, buffer, 4096, FILE_SIZE - 100));
    truth("file");
    CALL(pwrite(fd, buffer, 4096, FILE_SIZE + 3996));
    truth("file");
    CALL(lseek(fd, 0, SEEK_END));
    WRITE(fd, 10000);
    WRITE(fd, 1);
    truth("file");
    // What has just been appended is overwritten and read.
    CALL(pwrite(fd, buffer + 1, 10000, FILE_SIZE));
    say_bytes("read back", buffer, CALL(pread(fd, buffer, 20000, FILE_SIZE - 1000)));
    truth("file");
    for (int i = 0; i < 300; i++)
        if (write(fd, buffer, 12345) != 12345 || pwrite(fd, buffer + 5, 4096, FILE_SIZE + i * 12000l) != 4096 ||
            pread(fd, buffer, 4096, FILE_SIZE + i * 12000l + 77) != 4096)
            say("short");
    OFFSET(fd);
    truth("file");
}

static void holes(void)
{
    int fd = open_file("file", 1, O_RDWR);
    fill(buffer, 2, 0, sizeof buffer);
    CALL(pwrite(fd, buffer, 5000, FILE_SIZE + (3 << 20)));
    truth("file");
    say_bytes("hole", buffer, CALL(pread(fd, buffer, 8192, FILE_SIZE + 100000)));
    CALL(lseek(fd, 5 << 20, SEEK_END));
    fill(buffer, 3, 0, sizeof buffer);
    WRITE(fd, 3);
    CALL(pwrite(fd, buffer, 4096, FILE_SIZE + (1 << 20)));
    for (int i = 0; i < 10; i++)
        CALL(pread(fd, buffer, 8192, FILE_SIZE + (1 << 20) + i * 3000));
    truth("file");
    struct stat status;
    CALL(fstat(fd, &status));
    say("%ld blocks", (long)status.st_blocks);
    CALL(lseek(fd, FILE_SIZE - 4096, SEEK_HOLE));
}

static void append(void)
{
    int fd = open_file("file", 1, O_RDWR | O_APPEND);
    fill(buffer, 2, 0, sizeof buffer);
    WRITE(fd, 4096);
    CALL(lseek(fd, 8192, SEEK_SET));
    WRITE(fd, 4096);
    CALL(pwrite(fd, buffer, 4096, 8192));
    OFFSET(fd);
    struct iovec vector[] = {{buffer, 1000}, {buffer + 3000, 3000}};
    CALL(writev(fd, vector, 2));
    CALL(pwritev(fd, vector, 2, 4096));
    CALL(pwritev2(fd, vector, 2, 4096, 0));
    CALL(pwritev2(fd, vector, 2, -1, 0));
    OFFSET(fd);
    truth("file");
    say_bytes("read", buffer, CALL(pread(fd, buffer, 100000, 4096)));
}

static void bad_descriptors(void)
{
    int fd = open_file("file", 1, O_RDONLY), writable = OPEN(open("file", O_WRONLY));
    struct iovec vector = {buffer, 4096};
    CALL(write(fd, buffer, 4096));
    CALL(pwrite(fd, buffer, 4096, 8192));
    CALL(writev(fd, &vector, 1));
    CALL(pwritev(fd, &vector, 1, 8192));
    CALL(pwritev2(fd, &vector, 1, 8192, 0));
    CALL(write(fd, buffer, 0));
    CALL(write(-1, buffer, 4096));
    CALL(pwrite(INT_MAX, buffer, 4096, 0));
    CALL(pwrite(-1, buffer, 4096, 0));
    CALL(pwritev(-7, &vector, 1, 0));
    CALL(pwrite(writable, buffer, 4096, -1));
    CALL(pwrite(writable, buffer, 4096, LONG_MIN));
    CALL(pwrite(writable, buffer, 4096, LONG_MAX - 100));
    CALL(pwritev(writable, &vector, 1, -5));
    int directory = OPEN(open(".", O_RDONLY));
    CALL(write(directory, buffer, 4096));
    for (int i = 0; i < 4; i++)
        CALL(pwrite(writable, buffer, 4096, 8192));
    CALL(close(writable));
    CALL(pwrite(writable, buffer, 4096, 8192));
    CALL(write(writable, buffer, 4096));
    truth("file");
}

static unsigned char *bordered(void)
{
    unsigned char *pages = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        die("mmap");
    fill(pages, 5, 0, 4 * PAGE);
    if (mprotect(pages + 4 * PAGE, 4 * PAGE, PROT_NONE) != 0)
        die("mprotect");
    return pages;
}

static void bad_buffers(void)
{
    int fd = open_file("file", 1, O_RDWR);
    CALL(pwrite(fd, NULL, 4096, 8192));
    CALL(pwrite(fd, (void *)1, 4096, 8192));
    CALL(pwrite(fd, (void *)(LONG_MIN + 4096), 4096, 8192));
    CALL(pwrite(fd, NULL, 0, 8192));
    CALL(write(fd, NULL, 4096));
    OFFSET(fd);
    truth("file");
    unsigned char *end = bordered() + 4 * PAGE;
    static const long before[] = {0, 1, 63, 64, 100, 512, 4000, 4096, 6000, 8192, 12000, 16384};
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
            say("-- %ld bytes before the border", before[i]);
            // The tick's first write is the kernel's: have it done.
            pwrite(fd, buffer, 4096, 1 << 20);
            CALL(pwrite(fd, end - before[i], 20000, 65536 * (long)i));
            truth("file");
            pwrite(fd, buffer, 4096, 1 << 20);
            CALL(pwrite(fd, end - before[i], 20000, 65536 * (long)i + 20001));
            CALL(lseek(fd, 65536 * (long)i + 50000, SEEK_SET));
            pwrite(fd, buffer, 4096, 1 << 20);
            CALL(write(fd, end - before[i], 20000));
            OFFSET(fd);
            struct iovec vector[] = {{buffer, 1000}, {end - before[i], 20000}, {buffer, 1000}};
            pwrite(fd, buffer, 4096, 1 << 20);
            CALL(writev(fd, vector, 3));
            OFFSET(fd);
            truth("file");
        }
}

static void counts(void)
{
    int fd = open_file("file", 1, O_RDWR);
    CALL(write(fd, buffer, 0));
    CALL(pwrite(fd, buffer, 0, FILE_SIZE + 1000));
    CALL(pwrite(fd, buffer, (size_t)SSIZE_MAX + 1, 4096));
    CALL(pwrite(fd, buffer, SIZE_MAX, 4096));
    CALL(write(fd, buffer, SIZE_MAX));
    OFFSET(fd);
    truth("file");
}

#define WRITEV(vector, number)                                                                                         \
    do {                                                                                                               \
        for (int round_ = 0; round_ < 3; round_++) {                                                                   \
            CALL(pwritev(fd, vector, number, 10001));                                                                  \
            CALL(writev(fd, vector, number));                                                                          \
            OFFSET(fd);                                                                                                \
            CALL(pwritev2(fd, vector, number, 2000001, 0));                                                            \
            CALL(pwritev2(fd, vector, number, -1, 0));                                                                 \
            CALL(pwritev64v2(fd, vector, number, 3000001, 0));                                                         \
            OFFSET(fd);                                                                                                \
        }                                                                                                              \
        truth("file");                                                                                                 \
    } while (0)

static void vectored(void)
{
    int fd = open_file("file", 1, O_RDWR);
    fill(buffer, 2, 0, sizeof buffer);
    struct iovec one[] = {{buffer, 4096}};
    struct iovec three[] = {{buffer + 1, 100}, {buffer + 5000, 4096}, {buffer + 10000, 9999}};
    struct iovec gaps[] = {{NULL, 0}, {buffer, 512}, {(void *)1, 0}, {buffer + 600, 1}, {buffer + 800, 3000}};
    struct iovec many[1024];
    for (int i = 0; i < 1024; i++)
        many[i] = (struct iovec){buffer + i * 32, (size_t)(i % 31)};
    WRITEV(one, 1);
    WRITEV(three, 3);
    WRITEV(gaps, 5);
    WRITEV(many, 1024);
    CALL(lseek(fd, -5000, SEEK_END));
    WRITEV(three, 3);
}

static void bad_vectors(void)
{
    int fd = open_file("file", 1, O_RDWR);
    struct iovec many[1025];
    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){buffer + i * 32, 32};
    WRITEV(many, 0);
    WRITEV(many, -1);
    WRITEV(many, 1025);
    WRITEV(NULL, 0);
    WRITEV(NULL, 2);
    WRITEV((struct iovec *)8, 2);
    struct iovec overflow[] = {{buffer, 1000}, {buffer + 100, SSIZE_MAX}};
    struct iovec negative[] = {{buffer, 1000}, {buffer + 100, SIZE_MAX}};
    struct iovec bad_first[] = {{NULL, 1000}, {buffer, 1000}};
    struct iovec bad_middle[] = {{buffer, 5000}, {(void *)4096, 1000}, {buffer, 1000}};
    WRITEV(overflow, 2);
    WRITEV(negative, 2);
    WRITEV(bad_first, 2);
    WRITEV(bad_middle, 3);
}

static void pwritev2_flags(void)
{
    int fd = open_file("file", 1, O_RDWR);
    fill(buffer, 2, 0, sizeof buffer);
    struct iovec vector[] = {{buffer, 1000}, {buffer + 1000, 7000}};
    static const int flags[] = {0,       RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_APPEND, RWF_APPEND | RWF_DSYNC,
                                1 << 20, INT_MIN,   -1};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        say("-- flags %#x", (unsigned)flags[i]);
        for (int round = 0; round < 3; round++) {
            CALL(pwritev2(fd, vector, 2, 4000 + (long)i * 20000, flags[i]));
            CALL(pwritev2(fd, vector, 2, -1, flags[i]));
            OFFSET(fd);
        }
        truth("file");
    }
}

// The source is a mapping of the very file.
static void from_a_mapping_of_the_file(void)
{
    int fd = open_file("file", 1, O_RDWR);
    unsigned char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die("mmap");
    for (int i = 0; i < 5; i++) {
        CALL(pwrite(fd, map + 40960, 4096, 8192));
        CALL(pwrite(fd, map + 40960, 4096, 40960));
        CALL(pwrite(fd, map + 100000, 10000, 200000 + i));
        fill(map + 50000, 3 + i, 50000, 6000);
        say_bytes("read", buffer, CALL(pread(fd, buffer, 8192, 49000)));
        truth("file");
    }
}

static void synchronous(void)
{
    static const int flags[] = {O_SYNC, O_DSYNC};
    for (int i = 0; i < 2; i++) {
        int fd = open_file("file", 1, O_RDWR | flags[i]);
        fill(buffer, 2, 0, sizeof buffer);
        for (int j = 0; j < 20; j++)
            CALL(pwrite(fd, buffer + j, 4096, j * 30000));
        WRITE(fd, 10000);
        truth("file");
        CALL(close(fd));
    }
}

static void no_earlier(const struct timespec *a, const struct timespec *b, int *wrong)
{
    if (a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec))
        (*wrong)++;
}

// A write that has returned has left times no older than the clock was before it.
static void times(void)
{
    int fd = open_file("file", 1, O_RDWR), wrong = 0;
    for (int i = 0; i < 60; i++) {
        struct timespec before, pause = {0, 1300000};
        struct stat status;
        nanosleep(&pause, NULL);
        for (int j = 0; j < 10; j++) {
            clock_gettime(CLOCK_REALTIME_COARSE, &before);
            if (pwrite(fd, buffer, 4096, j * 10000l) != 4096 || fstat(fd, &status) != 0)
                die("pwrite");
            no_earlier(&status.st_mtim, &before, &wrong);
            no_earlier(&status.st_ctim, &before, &wrong);
        }
    }
    say("%d times older than the write", wrong);
}

// Until the clock that inodes are stamped with has moved: in a virtual machine that its host starves of one processor
// it stands still for longer than a tick lasts.
static void sleep_for_a_tick(void)
{
    struct timespec before, now, pause = {0, 12000000};
    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    do {
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    } while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec);
}

// Whoever may not keep them loses set-user-id and set-group-id bits with the first write.
static void set_user_id_bits(void)
{
    int fd = open_file("file", 1, O_RDWR);
    for (int i = 0; i < 3; i++) {
        struct stat status;
        CALL(fchmod(fd, 06777));
        sleep_for_a_tick();
        if (geteuid() == 0)
            CALL(seteuid(65534));
        CALL(pwrite(fd, buffer, 4096, 8192));
        CALL(fstat(fd, &status));
        say("mode %o", status.st_mode & 07777);
        if (getuid() == 0)
            CALL(seteuid(0));
    }
}

enum { WRITERS = 3, ROUNDS = 250, LENGTH = 32768 };

static int shared_fd;
static pthread_barrier_t barrier;

static void *writer(void *argument)
{
    unsigned char bytes[LENGTH];
    memset(bytes, 'A' + (int)(long)argument, sizeof bytes);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        for (int j = 0; j < 4; j++)
            if (pwrite(shared_fd, bytes, sizeof bytes, 16384) != sizeof bytes)
                die("pwrite");
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier); // while it is looked at
    }
    return NULL;
}

static bool is_uniform(const unsigned char *bytes, size_t count) { return memcmp(bytes, bytes + 1, count - 1) == 0; }

static void *shared_offset_writer(void *argument)
{
    unsigned char page[4096];
    memset(page, 'a' + (int)(long)argument, sizeof page);
    for (int i = 0; i < 300; i++)
        if (write(shared_fd, page, sizeof page) != sizeof page)
            die("write");
    return NULL;
}

// Of several writers of one range one is the last: afterwards all of it is his. And every page of a sequence that
// several threads write by the shared offset is whole.
static void writers_do_not_mix(void)
{
    shared_fd = open_file("file", 1, O_RDWR);
    pthread_t threads[4];
    pthread_barrier_init(&barrier, NULL, WRITERS + 1);
    for (long i = 0; i < WRITERS; i++)
        if (pthread_create(&threads[i], NULL, writer, (void *)i) != 0)
            die("pthread_create");
    int mixed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        raw(SYS_pread64, shared_fd, (long)buffer, LENGTH, 16384, 0, 0);
        mixed += !is_uniform(buffer, LENGTH) || buffer[0] < 'A' || buffer[0] >= 'A' + WRITERS;
        pthread_barrier_wait(&barrier);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    say("%d of %d times the bytes of several writers mixed", mixed, ROUNDS);
    mixed = 0;
    CALL(lseek(shared_fd, 0, SEEK_SET));
    for (long i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, shared_offset_writer, (void *)i) != 0)
            die("pthread_create");
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    OFFSET(shared_fd);
    int of_each[4] = {0};
    for (int i = 0; i < 1200; i++) {
        raw(SYS_pread64, shared_fd, (long)buffer, 4096, i * 4096l, 0, 0);
        if (!is_uniform(buffer, 4096) || buffer[0] < 'a' || buffer[0] > 'd')
            mixed++;
        else
            of_each[buffer[0] - 'a']++;
    }
    say("%d pages mixed; %d %d %d %d of each", mixed, of_each[0], of_each[1], of_each[2], of_each[3]);
}

PROGRAM({"sequential-overwrite", sequential_overwrite}, {"positioned-overwrite", positioned_overwrite},
        {"seen-by-other-processes", seen_by_other_processes}, {"extension", extension}, {"holes", holes},
        {"append", append}, {"bad-descriptors", bad_descriptors}, {"bad-buffers", bad_buffers}, {"counts", counts},
        {"vectored", vectored}, {"bad-vectors", bad_vectors}, {"pwritev2-flags", pwritev2_flags},
        {"from-a-mapping-of-the-file", from_a_mapping_of_the_file}, {"synchronous", synchronous}, {"times", times},
        {"set-user-id-bits", set_user_id_bits}, {"writers-do-not-mix", writers_do_not_mix})

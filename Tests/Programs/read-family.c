// read, pread, readv, preadv, preadv2: results, offsets, bytes and errors.
#include <pthread.h>

#include "transcript.h"

static unsigned char buffer[(2 << 20) + 64];

#define READ(fd, count)                                                                                                \
    do {                                                                                                               \
        say_bytes("read", buffer, CALL(read(fd, buffer, count)));                                                      \
        OFFSET(fd);                                                                                                    \
    } while (0)

#define PREAD(fd, count, position) say_bytes("pread", buffer, CALL(pread(fd, buffer, count, position)))

static const long lengths[] = {1,   7,    8,    63,   64,   65,   100,   511,   512,
                               513, 1000, 4095, 4096, 4097, 8191, 10000, 65536, 1 << 20};
#define LENGTHS (sizeof lengths / sizeof *lengths)

static void sequential(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    for (size_t i = 0; i < 3 * LENGTHS; i++)
        READ(fd, (size_t)lengths[i % LENGTHS]);
    ssize_t count;
    uint64_t hash = HASH_START;
    long total = 0;
    while ((count = read(fd, buffer, 30000)) > 0) {
        hash = hash_add(hash, buffer, (size_t)count);
        total += count;
    }
    say("rest: %ld bytes %016lx, then %zd", total, hash, count);
    READ(fd, 4096);
    CALL(lseek(fd, -10, SEEK_END));
    READ(fd, 4096);
    CALL(lseek(fd, 100, SEEK_SET));
    READ(fd, 4096);
}

static void positioned(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    CALL(lseek(fd, 12345, SEEK_SET));
    for (size_t i = 0; i < LENGTHS; i++)
        for (long position = 0; position < FILE_SIZE; position += 777777 + (long)i * 4096)
            PREAD(fd, (size_t)lengths[i], position);
    OFFSET(fd);
}

static void at_end_of_file(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    static const long around[] = {-(2 << 20) - 1, -(2 << 20), -8193, -8192, -4097, -4096, -4095,
                                  -778,           -777,       -776,  -1,    0,     1,     4096};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        long position = FILE_SIZE + around[i];
        PREAD(fd, 4096, position);
        PREAD(fd, 1, position);
        PREAD(fd, sizeof buffer, position);
        CALL(lseek(fd, position, SEEK_SET));
        READ(fd, 4096);
        READ(fd, 4096);
    }
    PREAD(fd, 100, LONG_MAX);
    PREAD(fd, 100, LONG_MAX - 50);
    PREAD(fd, 100, LONG_MAX - 100);
    PREAD(fd, 0, LONG_MAX);
    PREAD(fd, 100, 1l << 40);
}

static void negative_offsets(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    PREAD(fd, 100, -1);
    PREAD(fd, 100, -4096);
    PREAD(fd, 100, LONG_MIN);
    PREAD(fd, 0, -1);
    struct iovec vector = {buffer, 100};
    CALL(preadv(fd, &vector, 1, -1));
    CALL(preadv(fd, &vector, 1, -2));
    CALL(preadv2(fd, &vector, 1, -2, 0));
    OFFSET(fd);
}

static void bad_descriptors(void)
{
    int fd = open_file("file", 1, O_RDONLY), other = OPEN(open("file", O_WRONLY));
    struct iovec vector = {buffer, 100};
    CALL(read(-1, buffer, 100));
    CALL(pread(-1, buffer, 100, 0));
    CALL(read(INT_MAX, buffer, 100));
    CALL(read(INT_MIN, buffer, 100));
    CALL(pread(1 << 20, buffer, 100, 0));
    CALL(readv(-1, &vector, 1));
    CALL(preadv(-1, &vector, 1, 0));
    CALL(preadv2(-1, &vector, 1, 0, 0));
    CALL(read(other, buffer, 4096));
    CALL(pread(other, buffer, 4096, 0));
    CALL(pread(other, buffer, 4096, 4096));
    int directory = OPEN(open(".", O_RDONLY | O_DIRECTORY)), path = OPEN(open("file", O_PATH));
    CALL(read(directory, buffer, 100));
    CALL(pread(directory, buffer, 100, 0));
    CALL(read(path, buffer, 100));
    CALL(pread(path, buffer, 100, 0));
    PREAD(fd, 4096, 4096);
    CALL(close(fd));
    CALL(pread(fd, buffer, 4096, 4096));
    CALL(read(fd, buffer, 4096));
    CALL(readv(fd, &vector, 1));
    CALL(close(fd));
    int ends[2];
    if (pipe(ends) != 0)
        die("pipe");
    CALL(pread(ends[0], buffer, 10, 0));
    CALL(write(ends[1], "pipe", 4));
    say_bytes("pipe", buffer, CALL(read(ends[0], buffer, 10)));
}

// A page that may be read and written, followed by one that may not be touched.
static unsigned char *bordered(int protection)
{
    unsigned char *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + 2 * PAGE, 2 * PAGE, protection) != 0)
        die("mmap");
    return pages;
}

static void bad_buffers(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    CALL(pread(fd, NULL, 4096, 8192));
    CALL(pread(fd, (void *)1, 4096, 8192));
    CALL(pread(fd, (void *)(LONG_MIN + 4096), 4096, 8192));
    CALL(pread(fd, (void *)0x7ffffffff000, 4096, 8192));
    CALL(pread(fd, NULL, 0, 8192));
    CALL(read(fd, NULL, 4096));
    OFFSET(fd);
    CALL(read(fd, NULL, 0));
    OFFSET(fd);
    unsigned char *border[] = {bordered(PROT_NONE), bordered(PROT_READ)};
    for (int i = 0; i < 2; i++) {
        say("-- %s", i == 0 ? "PROT_NONE" : "PROT_READ");
        static const long before[] = {0, 1, 63, 64, 100, 512, 4000, 4096, 6000, 8192};
        for (size_t j = 0; j < sizeof before / sizeof *before; j++) {
            unsigned char *start = border[i] + 2 * PAGE - before[j];
            say("-- %ld bytes before the border", before[j]);
            memset(border[i], 0, 2 * PAGE);
            say_bytes("border", start, CALL(pread(fd, start, 3 * 4096, 16384)));
            memset(border[i], 0, 2 * PAGE);
            say_bytes("border", start, CALL(pread(fd, start, 3 * 4096, 16385)));
            CALL(lseek(fd, 20000, SEEK_SET));
            say_bytes("border", start, CALL(read(fd, start, 12288)));
            OFFSET(fd);
            struct iovec vector[3] = {{buffer, 1000}, {start, 12288}, {buffer + 2000, 1000}};
            say_bytes("border", buffer, CALL(readv(fd, vector, 3)));
            OFFSET(fd);
        }
    }
    PREAD(fd, 4096, 8192);
}

static void counts(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    CALL(read(fd, buffer, 0));
    CALL(pread(fd, buffer, 0, 4096));
    CALL(pread(fd, buffer, (size_t)SSIZE_MAX + 1, 4096));
    CALL(pread(fd, buffer, SIZE_MAX, 4096));
    CALL(read(fd, buffer, SIZE_MAX));
    OFFSET(fd);
    // More than the kernel moves in one call (MAX_RW_COUNT), into memory that is there.
    size_t huge = (1ul << 31) + 4096;
    unsigned char *space = mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED)
        die("mmap");
    say_bytes("huge", space, CALL(pread(fd, space, huge, 4096)));
    say_bytes("huge", space, CALL(read(fd, space, huge)));
    OFFSET(fd);
}

#define READV(vector, number)                                                                                          \
    do {                                                                                                               \
        memset(buffer, 0, 40000);                                                                                      \
        CALL(preadv(fd, vector, number, 10001));                                                                       \
        say_bytes("preadv", buffer, 40000);                                                                            \
        memset(buffer, 0, 40000);                                                                                      \
        CALL(readv(fd, vector, number));                                                                               \
        say_bytes("readv", buffer, 40000);                                                                             \
        OFFSET(fd);                                                                                                    \
        CALL(preadv2(fd, vector, number, 20001, 0));                                                                   \
        say_bytes("preadv2", buffer, 40000);                                                                           \
        CALL(preadv2(fd, vector, number, -1, 0));                                                                      \
        OFFSET(fd);                                                                                                    \
    } while (0)

static void vectored(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    struct iovec one[] = {{buffer, 4096}};
    struct iovec three[] = {{buffer + 1, 100}, {buffer + 5000, 4096}, {buffer + 10000, 9999}};
    struct iovec gaps[] = {{NULL, 0},         {buffer, 512},     {(void *)1, 0},
                           {buffer + 600, 1}, {buffer + 700, 0}, {buffer + 800, 3000}};
    struct iovec overlapping[] = {{buffer, 4096}, {buffer + 2048, 4096}};
    READV(one, 1);
    READV(three, 3);
    READV(gaps, 6);
    READV(overlapping, 2);
    struct iovec many[1025];
    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){buffer + i * 32, (size_t)(i % 31)};
    READV(many, 1024);
    READV(many, 1000);
    CALL(lseek(fd, FILE_SIZE - 5000, SEEK_SET));
    say_bytes("end", buffer, CALL(readv(fd, three, 3)));
    OFFSET(fd);
    say_bytes("end", buffer, CALL(preadv(fd, three, 3, FILE_SIZE - 120)));
}

static void bad_vectors(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    struct iovec many[1025];
    for (int i = 0; i < 1025; i++)
        many[i] = (struct iovec){buffer + i * 32, 32};
    READV(many, 0);
    READV(many, -1);
    READV(many, 1025);
    READV(many, INT_MAX);
    READV(NULL, 0);
    READV(NULL, 1);
    READV((struct iovec *)8, 2);
    struct iovec overflow[] = {{buffer, 100}, {buffer + 100, SSIZE_MAX}};
    struct iovec sum[] = {{buffer, 100}, {buffer + 100, SSIZE_MAX - 50}, {buffer, 100}};
    struct iovec negative[] = {{buffer, 100}, {buffer + 100, SIZE_MAX}};
    READV(overflow, 2);
    READV(sum, 3);
    READV(negative, 2);
    struct iovec bad_first[] = {{NULL, 100}, {buffer, 100}},
                 bad_middle[] = {{buffer, 5000}, {(void *)4096, 100}, {buffer, 100}};
    READV(bad_first, 2);
    READV(bad_middle, 3);
    // The vector itself reaches into a page that may not be read.
    unsigned char *border = bordered(PROT_NONE);
    struct iovec *edge = (struct iovec *)(border + 2 * PAGE) - 1;
    *edge = (struct iovec){buffer, 4096};
    READV(edge, 1);
    READV(edge, 2);
}

static void preadv2_flags(void)
{
    int fd = open_file("file", 1, O_RDONLY);
    struct iovec vector[] = {{buffer, 1000}, {buffer + 1000, 7000}};
    static const int flags[] = {0,       RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND, RWF_HIPRI | RWF_NOWAIT,
                                1 << 20, INT_MIN,   -1};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        say("-- flags %#x", (unsigned)flags[i]);
        memset(buffer, 0, 8000);
        say_bytes("preadv2", buffer, CALL(preadv2(fd, vector, 2, 4000, flags[i])));
        say_bytes("preadv2", buffer, CALL(preadv2(fd, vector, 2, -1, flags[i])));
        OFFSET(fd);
        say_bytes("preadv2", buffer, CALL(preadv64v2(fd, vector, 2, FILE_SIZE - 100, flags[i])));
    }
}

// The destination is a mapping of the very file.
static void into_a_mapping_of_the_file(void)
{
    int fd = open_file("file", 1, O_RDWR);
    unsigned char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die("mmap");
    CALL(pread(fd, map + 40960, 4096, 8192));
    truth("file");
    CALL(pread(fd, map + 40960, 4096, 40960));
    truth("file");
    CALL(pread(fd, map + 100000, 1000, 200000));
    truth("file");
    CALL(read(fd, map + FILE_SIZE - 100, 3000));
    OFFSET(fd);
    truth("file");
    say_bytes("map", map, FILE_SIZE);
}

static int shared_fd;
static uint64_t chunk_hashes[4];
static long chunk_bytes[4];

static void *reader(void *argument)
{
    long me = (long)argument;
    unsigned char chunk[3000];
    ssize_t count;
    while ((count = read(shared_fd, chunk, sizeof chunk)) > 0) {
        // Chunks come in any order and from any thread: a sum does not mind.
        chunk_hashes[me] += hash_of(chunk, (size_t)count);
        chunk_bytes[me] += count;
    }
    return NULL;
}

static void threads_share_an_offset(void)
{
    shared_fd = open_file("file", 1, O_RDONLY);
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, reader, (void *)i) != 0)
            die("pthread_create");
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    say("%ld bytes, sum of chunks %016lx", chunk_bytes[0] + chunk_bytes[1] + chunk_bytes[2] + chunk_bytes[3],
        chunk_hashes[0] + chunk_hashes[1] + chunk_hashes[2] + chunk_hashes[3]);
    OFFSET(shared_fd);
}

static void access_modes(void)
{
    make_file("file", 1, FILE_SIZE);
    static const int modes[] = {O_RDONLY,
                                O_RDWR,
                                O_RDONLY | O_NOATIME,
                                O_RDWR | O_SYNC,
                                O_RDWR | O_DSYNC,
                                O_RDWR | O_APPEND,
                                O_RDONLY | O_NONBLOCK};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int fd = OPEN(open("file", modes[i] | O_CLOEXEC));
        for (int j = 0; j < 6; j++) {
            PREAD(fd, 4096, j * 8192 + 1);
            READ(fd, 4096);
        }
        CALL(close(fd));
    }
}

static void small_and_empty_files(void)
{
    static const long sizes[] = {0, 1, 100, 4095, 4096, 4097, 8192, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file("file", 2, sizes[i]);
        int fd = OPEN(open("file", O_RDWR | O_CLOEXEC));
        say("-- size %ld", sizes[i]);
        for (int j = 0; j < 5; j++) {
            PREAD(fd, 4096, 0);
            PREAD(fd, 1, sizes[i] - 1);
            PREAD(fd, 100, sizes[i] / 2);
            READ(fd, 4096);
        }
        CALL(close(fd));
    }
}

PROGRAM({"sequential", sequential}, {"positioned", positioned}, {"at-end-of-file", at_end_of_file},
        {"negative-offsets", negative_offsets}, {"bad-descriptors", bad_descriptors}, {"bad-buffers", bad_buffers},
        {"counts", counts}, {"vectored", vectored}, {"bad-vectors", bad_vectors}, {"preadv2-flags", preadv2_flags},
        {"into-a-mapping-of-the-file", into_a_mapping_of_the_file},
        {"threads-share-an-offset", threads_share_an_offset}, {"access-modes", access_modes},
        {"small-and-empty-files", small_and_empty_files})

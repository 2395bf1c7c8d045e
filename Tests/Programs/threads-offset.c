// Several threads move one file offset: every byte is read, and every record written, exactly once and in one piece.
#include <pthread.h>

#include "transcript.h"

#define THREADS 4
#define WORDS (FILE_SIZE / 8)
#define RECORD 512l
#define RECORDS 2000l

static int numbers[2]; // of one description
static long rounds;
static unsigned char taken[WORDS + 1];
static long wrong, reads_each, go = -1;
static pthread_barrier_t barrier;

static void complain(void) { __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED); }

static uint64_t word(long index) { return (uint64_t)index * 0x9e3779b97f4a7c15ull; }

// A file of which every word tells where it is.
static void make_words(const char *path)
{
    uint64_t words[1024];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (long at = 0; at < FILE_SIZE; at += (long)sizeof words) {
        for (long i = 0; i < 1024; i++)
            words[i] = word(at / 8 + i);
        long count = FILE_SIZE - at < (long)sizeof words ? FILE_SIZE - at : (long)sizeof words;
        if (raw(SYS_pwrite64, fd, (long)words, count, at, 0, 0) != count)
            die("make_words");
    }
    warm(fd);
    numbers[0] = fd;
    numbers[1] = dup(fd);
}

static long index_of(uint64_t value)
{
    return (long)(value * 0xf1de83e19937733dull); // the inverse of word()'s factor, modulo 2^64
}

// Notes which words came, and that they follow one another.
static void take(const uint64_t *words, long count)
{
    long first = index_of(words[0]);
    if (first < 0 || first > WORDS)
        return complain();
    for (long i = 0; i < (count + 7) / 8; i++) {
        // The file ends in the middle of a word.
        if (i * 8 + 8 <= count && words[i] != word(first + i))
            return complain();
        if (first + i > WORDS || __atomic_fetch_add(&taken[first + i], 1, __ATOMIC_RELAXED) != 0)
            complain();
    }
}

static void *read_all(void *argument)
{
    uint64_t words[2048], seed = (uint64_t)(long)argument * 77 + 1;
    for (long i = 0; i < reads_each; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        int fd = numbers[seed >> 40 & 1];
        long half = 8 * (1 + (long)(seed >> 33) % 1024), count;
        memset(words, 0, sizeof words);
        if (seed >> 60 & 1) {
            struct iovec parts[2] = {{words, (size_t)half}, {(char *)words + half, (size_t)half}};
            count = readv(fd, parts, 2);
        } else {
            count = read(fd, words, (size_t)half * 2);
        }
        if (count <= 0)
            return (void *)count;
        take(words, count);
    }
    return NULL;
}

static void run_threads(void *(*body)(void *), int count)
{
    pthread_t threads[THREADS];
    for (long i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, body, (void *)i) != 0)
            die("pthread_create");
    for (int i = 0; i < count; i++) {
        void *result;
        pthread_join(threads[i], &result);
        if (result != NULL)
            complain();
    }
}

static void say_untaken(void)
{
    long untaken = 0;
    for (long i = 0; i <= WORDS; i++)
        untaken += taken[i] == 0;
    say("%ld wrong, %ld words left out", wrong, untaken);
}

static void reads_share_one_offset(void)
{
    make_words("file");
    reads_each = LONG_MAX; // until the end
    for (int i = 0; i < 10; i++) {
        memset(taken, 0, sizeof taken);
        lseek(numbers[0], 0, SEEK_SET);
        run_threads(read_all, THREADS);
        say_untaken();
        OFFSET(numbers[0]);
    }
}

// ---- records --------------------------------------------------------------------------------------------------
struct record {
    uint64_t mark, length, thread, sequence;
};
#define MARK 0x5245434f52443a20ull

static long fill_record(unsigned char *bytes, long thread, long sequence)
{
    struct record head = {MARK, (uint64_t)(RECORD * (1 + (sequence * 7 + thread) % 5)), (uint64_t)thread,
                          (uint64_t)sequence};
    memset(bytes, (int)(thread * 50 + sequence), head.length);
    memcpy(bytes, &head, sizeof head);
    return (long)head.length;
}

static void *write_records(void *argument)
{
    unsigned char bytes[RECORD * 5];
    long thread = (long)argument;
    for (long i = 0; i < rounds; i++) {
        long length = fill_record(bytes, thread, i), done;
        int fd = numbers[i & 1];
        if (i % 3 == 0) {
            struct iovec parts[3] = {{bytes, 100}, {bytes + 100, 200}, {bytes + 300, (size_t)length - 300}};
            done = writev(fd, parts, 3);
        } else {
            done = write(fd, bytes, (size_t)length);
        }
        if (done != length)
            complain();
    }
    return NULL;
}

// The records in [start, end): whole, none twice, each thread's in order. Returns how many.
static long check_records(const char *path, long start, long end, long *next)
{
    int fd = (int)raw(SYS_openat, AT_FDCWD, (long)path, O_RDONLY, 0, 0, 0);
    unsigned char bytes[RECORD * 5], expected[RECORD * 5];
    long found = 0;
    for (long at = start; at < end;) {
        struct record head;
        if (raw(SYS_pread64, fd, (long)&head, sizeof head, at, 0, 0) != sizeof head || head.mark != MARK
            || head.thread >= THREADS) {
            say("no record at %ld", at);
            break;
        }
        long length = fill_record(expected, (long)head.thread, (long)head.sequence);
        if (raw(SYS_pread64, fd, (long)bytes, length, at, 0, 0) != length || memcmp(bytes, expected, (size_t)length))
            complain();
        if ((long)head.sequence != next[head.thread]++)
            complain();
        at += length;
        found++;
    }
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
    return found;
}

static void writes_share_one_offset(void)
{
    make_words("file");
    for (int i = 0; i < 5; i++) {
        long next[THREADS] = {0};
        rounds = RECORDS / THREADS;
        lseek(numbers[1], 1 << 20, SEEK_SET);
        run_threads(write_records, THREADS);
        OFFSET(numbers[0]);
        long end = raw(SYS_lseek, numbers[0], 0, SEEK_CUR, 0, 0, 0);
        long found = check_records("file", 1 << 20, end, next);
        say("%ld records, %ld wrong", found, wrong);
    }
    struct stat now;
    fstat(numbers[0], &now);
    say("size %ld", (long)now.st_size);
}

// Written at the end, where the kernel does the calls: the file grows by all of it, without gaps.
static void writes_extend_at_one_offset(void)
{
    make_words("file");
    long next[THREADS] = {0};
    rounds = RECORDS / THREADS;
    lseek(numbers[0], FILE_SIZE - 100000, SEEK_SET);
    run_threads(write_records, THREADS);
    OFFSET(numbers[0]);
    long end = raw(SYS_lseek, numbers[0], 0, SEEK_CUR, 0, 0, 0);
    say("%ld records, %ld wrong", check_records("file", FILE_SIZE - 100000, end, next), wrong);
}

static void *read_or_write(void *argument)
{
    return (long)argument % 2 ? write_records(argument) : read_all(argument);
}

// What a reader took no writer wrote over, and the other way round.
static void readers_and_writers_share_one_offset(void)
{
    for (int i = 0; i < 5; i++) {
        make_words("file");
        memset(taken, 0, sizeof taken);
        rounds = 500;
        reads_each = 250;
        run_threads(read_or_write, THREADS);
        // What was written is found in the file, what was read is not written over: each word is one or the other.
        long end = raw(SYS_lseek, numbers[0], 0, SEEK_CUR, 0, 0, 0), records = 0, twice = 0, neither = 0;
        say("all inside: %d", end < FILE_SIZE);
        const unsigned char *bytes = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, numbers[0], 0);
        for (long at = 0; at < end && end < FILE_SIZE;) {
            struct record head;
            memcpy(&head, bytes + at, sizeof head);
            long step = head.mark == MARK ? (long)head.length : 8;
            records += head.mark == MARK;
            neither += head.mark != MARK && taken[at / 8] == 0;
            for (long k = at; head.mark == MARK && k < at + step; k += 8)
                twice += taken[k / 8];
            at += step;
        }
        say("%ld records, %ld words both read and written, %ld neither, %ld wrong", records, twice, neither, wrong);
        munmap((void *)bytes, FILE_SIZE);
        close(numbers[0]);
        close(numbers[1]);
    }
}

// ---- at the end -----------------------------------------------------------------------------------------------
static void *read_at_end(void *unused)
{
    (void)unused;
    char bytes[PAGE];
    for (long i = 0; i < rounds; i++) {
        lseek(numbers[0], 0, SEEK_SET);
        if (read(numbers[0], bytes, sizeof bytes) != sizeof bytes)
            complain();
        pthread_barrier_wait(&barrier); // here the other thread moves the offset
        pthread_barrier_wait(&barrier);
        __atomic_store_n(&go, i, __ATOMIC_RELEASE); // closer together than a barrier wakes them
        if (read(numbers[0], bytes, sizeof bytes) < 0)
            complain();
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

// A read that meets the end of the file leaves the offset where it is, for whoever writes there at that moment. Not
// always so under the shim: docs/limitations.md.
static void reads_at_the_end_beside_writes(void)
{
    make_words("file");
    rounds = 5000;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t reader;
    pthread_create(&reader, NULL, read_at_end, NULL);
    unsigned char bytes[100];
    long misplaced = 0, end = FILE_SIZE;
    for (long i = 0; i < rounds; i++) {
        pthread_barrier_wait(&barrier);
        pread(numbers[0], bytes, sizeof bytes, 0); // keeps the file served
        lseek(numbers[1], 0, SEEK_END);
        pthread_barrier_wait(&barrier);
        for (long spin = 0; __atomic_load_n(&go, __ATOMIC_ACQUIRE) != i && spin < 1000000; spin++)
            continue;
        for (volatile long spin = i * 13 % 3000; spin > 0; spin--)
            continue;
        if (write(numbers[1], bytes, sizeof bytes) != sizeof bytes)
            complain();
        pthread_barrier_wait(&barrier);
        struct stat now;
        fstat(numbers[0], &now);
        misplaced += now.st_size != end + (long)sizeof bytes;
        end = now.st_size;
    }
    pthread_join(reader, NULL);
    say("%ld writes misplaced, %ld wrong", misplaced, wrong);
}

PROGRAM({"reads-share-one-offset", reads_share_one_offset}, {"writes-share-one-offset", writes_share_one_offset},
        {"writes-extend-at-one-offset", writes_extend_at_one_offset},
        {"readers-and-writers-share-one-offset", readers_and_writers_share_one_offset},
        {"reads-at-the-end-beside-writes", reads_at_the_end_beside_writes})

// Files and numbers change under threads that are in the middle of a copy: no crash, and no byte of another file.
#include <pthread.h>

#include "transcript.h"

#define THREADS 2
#define SPAN 16384l
#define SHARED 4
#define STRANGER 9

static int numbers[SHARED];
static bool done;
static long wrong, foreign;
static long turns;

static void complain(void) { __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED); }

// Which file a span is of: 1 to 9; 0: zeros; -1: a mixture.
static int origin(const unsigned char *bytes, long count, long at)
{
    for (int tag = 0; tag <= STRANGER; tag++) {
        long i = 0;
        while (i < count && bytes[i] == (tag ? pattern(tag, at + i) : 0))
            i++;
        if (i == count)
            return tag;
    }
    return -1;
}

static bool going(void) { return !__atomic_load_n(&done, __ATOMIC_ACQUIRE); }

// A file that no number of `numbers` ever names: its windows come and go all the while, and use any address that is
// given back too soon. Its numbers are far from those that others get.
static int stranger_number;

static void *stranger(void *unused)
{
    (void)unused;
    unsigned char bytes[SPAN];
    while (going()) {
        int fd = fcntl(stranger_number, F_DUPFD, 600);
        for (int i = 0; i < 4; i++)
            if (pread(fd, bytes, SPAN, i * SPAN) != SPAN || origin(bytes, SPAN, i * SPAN) != STRANGER)
                complain();
        close(fd);
    }
    return NULL;
}

static pthread_t threads[THREADS + 1];

static void begin(void *(*body)(void *))
{
    make_file("stranger", STRANGER, FILE_SIZE);
    // Here, not in the thread: opened there, it could be given the number a test has just closed and counts on.
    int low = open("stranger", O_RDWR);
    stranger_number = fcntl(low, F_DUPFD, 500);
    close(low);
    fcntl(0, F_DUPFD, 700); // the kernel's table is large enough: growing it takes the time of all threads
    for (long i = 0; i <= THREADS; i++)
        if (pthread_create(&threads[i], NULL, i < THREADS ? body : stranger, (void *)i) != 0)
            die("pthread_create");
}

static void finish(void)
{
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    say("%ld wrong, %ld foreign", wrong, foreign);
}

static void *read_spans(void *argument)
{
    unsigned char bytes[SPAN];
    for (long i = (long)argument; going(); i++) {
        long at = i * 37 % 300 * PAGE, count = pread(numbers[i % SHARED], bytes, SPAN, at);
        if (count < 0 && errno == EBADF)
            continue; // closed at that moment
        if (count != SPAN)
            complain();
        int tag = origin(bytes, count, at);
        if (tag == STRANGER)
            __atomic_add_fetch(&foreign, 1, __ATOMIC_RELAXED);
        else if (tag <= 0)
            complain();
    }
    return NULL;
}

static int open_tagged(int tag)
{
    char name[8];
    snprintf(name, sizeof name, "file%d", tag);
    return open(name, O_RDWR);
}

static void make_tagged(int tag)
{
    char name[8];
    snprintf(name, sizeof name, "file%d", tag);
    make_file(name, tag, FILE_SIZE);
}

// Closed and opened anew as another file, in one step and in two.
static void closed_while_read(void)
{
    for (int i = 0; i < SHARED; i++) {
        make_tagged(i + 1);
        numbers[i] = open_tagged(i + 1);
        warm(numbers[i]);
    }
    begin(read_spans);
    for (long i = 0; i < 800; i++) {
        int fd = numbers[i % SHARED], tag = 1 + (int)(i * 7 % SHARED);
        if (i % 3 == 0) {
            close(fd);
            if (open_tagged(tag) != fd)
                die("another number");
        } else {
            int other = open_tagged(tag);
            dup2(other, fd);
            close(other);
        }
        unsigned char bytes[PAGE];
        if (pread(fd, bytes, PAGE, 5 * PAGE) != PAGE || origin(bytes, PAGE, 5 * PAGE) != tag)
            complain();
    }
    finish();
}

// ---- one file, cut and lengthened, unlinked and made anew -----------------------------------------------------
static void *read_changing(void *argument)
{
    unsigned char bytes[SPAN];
    for (long i = (long)argument; going(); i++) {
        long at = i * 37 % 1200 * PAGE, count = pread(numbers[0], bytes, SPAN, at);
        if (count < 0)
            complain();
        for (long k = 0; k < count; k++)
            if (bytes[k] != 0 && bytes[k] != pattern(1, at + k)) {
                complain();
                break;
            }
        if (i % 4 == 0) {
            fill(bytes, 1, at, SPAN);
            if (pwrite(numbers[0], bytes, SPAN, at) != SPAN)
                complain();
        }
    }
    return NULL;
}

static void truncated_while_copied(void)
{
    numbers[0] = open_file("file", 1, O_RDWR);
    begin(read_changing);
    for (long i = 0; i < 400; i++) {
        if (ftruncate(numbers[0], i * 7919 % FILE_SIZE) != 0 || ftruncate(numbers[0], FILE_SIZE) != 0)
            complain();
        if (i % 16 == 0)
            usleep(500);
    }
    finish();
    int fd = numbers[0];
    ftruncate(fd, 0);
    truth("file");
    make_file("file", 1, FILE_SIZE);
    warm(fd);
    unsigned char bytes[SPAN];
    say_origin("afterwards", bytes, pread(fd, bytes, SPAN, 1 << 20), 1 << 20);
}

// The name goes, and comes back as another file, while the number means the old one.
static void unlinked_while_copied(void)
{
    make_tagged(1);
    for (int i = 0; i < SHARED; i++)
        numbers[i] = open_tagged(1);
    begin(read_spans);
    for (int i = 0; i < 60; i++) {
        unlink("file1");
        int tag = 2 + i % 6, other = open("file1", O_RDWR | O_CREAT, 0644);
        unsigned char bytes[SPAN];
        for (long at = 0; at < 1 << 18; at += SPAN) {
            fill(bytes, tag, at, SPAN);
            pwrite(other, bytes, SPAN, at);
        }
        for (long at = 0; at < 1 << 18; at += SPAN)
            if (pread(other, bytes, SPAN, at) != SPAN || origin(bytes, SPAN, at) != tag)
                complain();
        for (int k = 0; k < SHARED; k++)
            if (pread(numbers[k], bytes, SPAN, 3 * SPAN) != SPAN || origin(bytes, SPAN, 3 * SPAN) != 1)
                complain();
        close(other);
    }
    finish();
    struct stat now;
    CALL(fstat(numbers[0], &now));
    say("%ld links, %ld bytes", (long)now.st_nlink, (long)now.st_size);
}

// ---- replaced under calls at the implicit offset --------------------------------------------------------------
#define LOGS 2
#define RECORD 2048l
#define RECORDS 9000 /* fewer than either file has */
#define QUIET 1000   /* so many before the first dup2: later, on a busy machine, nobody may be served at all */
static long sequence;

// Threads run `body`, which counts in `done`, while the number they use leads to one of the files and then the other.
static void replace_under(void *body(void *), const int *logs, const long *done)
{
    numbers[0] = dup(logs[0]);
    begin(body);
    while (__atomic_load_n(done, __ATOMIC_RELAXED) < QUIET)
        usleep(100);
    for (long i = 0; __atomic_load_n(done, __ATOMIC_RELAXED) < RECORDS; i++) {
        dup2(logs[i % LOGS], numbers[0]);
        if (i % 8 == 0) // nobody is served while it is being replaced
            usleep(100);
    }
    finish();
}

// Records of one size, each in one piece in one of the files, wherever its number led at that moment.
static void *log_records(void *unused)
{
    (void)unused;
    unsigned char bytes[RECORD];
    while (going() && sequence < RECORDS) {
        uint64_t mine = (uint64_t)__atomic_add_fetch(&sequence, 1, __ATOMIC_RELAXED);
        for (size_t i = 0; i < RECORD / 8; i++)
            memcpy(bytes + i * 8, &mine, 8);
        if (write(numbers[0], bytes, RECORD) != RECORD)
            complain();
    }
    return NULL;
}

static void replaced_while_written(void)
{
    // Long enough that no writer comes to the end of either.
    int logs[LOGS];
    long limit = 24 << 20;
    for (int i = 0; i < LOGS; i++) {
        char name[8];
        snprintf(name, sizeof name, "log%d", i);
        make_file(name, i, limit);
        logs[i] = open(name, O_RDWR);
        warm(logs[i]);
    }
    replace_under(log_records, logs, &sequence);
    // Each file has been written from its start to its offset, without a gap, and each record is there once.
    unsigned char *seen = calloc(1, (size_t)sequence + 1);
    long torn = 0, missing = 0, twice = 0;
    for (int i = 0; i < LOGS; i++) {
        long end = lseek(logs[i], 0, SEEK_CUR);
        for (long at = 0; at < end; at += RECORD) {
            uint64_t words[RECORD / 8];
            raw(SYS_pread64, logs[i], (long)words, RECORD, at, 0, 0);
            for (size_t k = 1; k < RECORD / 8; k++)
                if (words[k] != words[0]) {
                    torn++;
                    break;
                }
            if (words[0] > (uint64_t)sequence)
                torn++;
            else if (seen[words[0]]++)
                twice++;
        }
    }
    for (long i = 1; i <= sequence; i++)
        missing += !seen[i];
    say("%ld torn or of no writer, %ld twice, %ld missing", torn, twice, missing);
}

static unsigned char *taken[LOGS];

// Every record of the file a reader comes upon is whole, of a place nobody has read before.
static void *take_records(void *unused)
{
    (void)unused;
    uint64_t words[RECORD / 8];
    while (going() && turns < RECORDS) {
        long count = read(numbers[0], words, RECORD);
        if (count != RECORD) {
            complain();
            continue;
        }
        uint64_t log = words[0] >> 32, at = words[0] & 0xffffffff;
        for (size_t i = 1; i < RECORD / 8; i++)
            if (words[i] != words[0])
                complain();
        if (log >= LOGS || __atomic_fetch_add(&taken[log][at], 1, __ATOMIC_RELAXED))
            complain();
        __atomic_add_fetch(&turns, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void replaced_while_read(void)
{
    int logs[LOGS];
    long records = 12000;
    uint64_t *words = malloc((size_t)(records * RECORD));
    for (long i = 0; i < LOGS; i++) {
        char name[8];
        snprintf(name, sizeof name, "log%ld", i);
        for (long k = 0; k < records * RECORD / 8; k++)
            words[k] = (uint64_t)i << 32 | (uint64_t)(k / (RECORD / 8));
        logs[i] = open(name, O_RDWR | O_CREAT, 0644);
        for (long at = 0; at < records * RECORD; at += 1 << 20)
            raw(SYS_pwrite64, logs[i], (long)words + at,
                at + (1 << 20) > records * RECORD ? records * RECORD - at : 1 << 20, at, 0, 0);
        warm(logs[i]);
        taken[i] = calloc(1, (size_t)records + 1);
    }
    free(words);
    replace_under(take_records, logs, &turns);
    for (int i = 0; i < LOGS; i++) {
        long end = lseek(logs[i], 0, SEEK_CUR) / RECORD, left_out = 0;
        for (long k = 0; k < end; k++)
            left_out += !taken[i][k];
        say("file %d: %ld left out", i, left_out);
    }
}

PROGRAM({"closed-while-read", closed_while_read}, {"truncated-while-copied", truncated_while_copied},
        {"unlinked-while-copied", unlinked_while_copied}, {"replaced-while-written", replaced_while_written},
        {"replaced-while-read", replaced_while_read})

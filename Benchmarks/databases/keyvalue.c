// RocksDB (compiled with -DROCKSDB: databases-rocksdb) and LevelDB (databases-leveldb), whose C interfaces differ in
// little but the prefix: databases-NAME prepare|run WORKLOAD DIRECTORY. Keys of 16 bytes, values of 100 to 400, no
// compression; reads are of 130 MB.
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "driver.h"

#ifdef ROCKSDB
#include <rocksdb/c.h>
#define DB(name) rocksdb_##name
const char *const driver_name = "rocksdb";
#else
#include <leveldb/c.h>
#define DB(name) leveldb_##name
const char *const driver_name = "leveldb";
#endif

enum { KEYS = 500000, KEY = 16, LEAST = 100, MOST = 400, MOST_THREADS = 2 };

struct settings {
    uint64_t count; // of operations, in each thread
    int threads;    // that read
    int random;     // the order of what is written
    int sync;
    uint64_t written; // by a thread beside those that read
    size_t buffer;    // write buffer in bytes; 0: the library's default
};

static DB(t) *database;
static DB(readoptions_t) *reading;
static DB(writeoptions_t) *writing;

static void check(char *error, const char *what)
{
    if (error) fail(what, error);
}

static DB(options_t) *options_of(const struct settings *settings)
{
    DB(options_t) *options = DB(options_create)();
    DB(options_set_create_if_missing)(options, 1);
    DB(options_set_compression)(options, DB(no_compression));
    if (settings->buffer) DB(options_set_write_buffer_size)(options, settings->buffer);
#ifdef ROCKSDB
    // As db_bench has them for reads: without a cache of blocks, with filters.
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_no_block_cache(table, 1);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom(10));
    rocksdb_options_set_block_based_table_factory(options, table);
#else
    leveldb_options_set_filter_policy(options, leveldb_filterpolicy_create_bloom(10));
#endif
    return options;
}

static void open_with(const DB(options_t) *options, int sync)
{
    char *error = NULL;
    database = DB(open)(options, "db", &error);
    check(error, "open");
    reading = DB(readoptions_create)();
    writing = DB(writeoptions_create)();
    DB(writeoptions_set_sync)(writing, (unsigned char)sync);
}

static void key_of(char *key, uint64_t number)
{
    char text[KEY + 1];
    snprintf(text, sizeof text, "%016" PRIu64, number);
    memcpy(key, text, KEY);
}

static void put(uint64_t number, uint64_t version)
{
    char key[KEY], value[MOST];
    char *error = NULL;
    const size_t length = LEAST + number * 7919 % (MOST - LEAST + 1);
    key_of(key, number);
    fill_value(value, length, number, version);
    DB(put)(database, writing, key, KEY, value, length, &error);
    check(error, "put");
}

static uint64_t get(uint64_t number, uint64_t sum)
{
    char key[KEY];
    char *error = NULL;
    size_t length;
    key_of(key, number);
    char *value = DB(get)(database, reading, key, KEY, &length, &error);
    check(error, "get");
    if (!value) fail("get", "there is no such key");
    // What is beyond these depends on how far a writer has got.
    sum = hash(sum, value, 16) ^ length;
    DB(free)(value);
    return sum;
}

// How much is compacted before the end would otherwise depend on the moment. LevelDB has nothing to ask for that; its
// fills are in order, and then there is nothing to compact.
static void wait_for_background(void)
{
#ifdef ROCKSDB
    static const char *const pending[] = {
        "rocksdb.mem-table-flush-pending", "rocksdb.num-running-flushes", "rocksdb.compaction-pending",
        "rocksdb.num-running-compactions"};
    for (size_t i = 0; i < sizeof pending / sizeof *pending; i++) {
        uint64_t value = 0;
        if (rocksdb_property_int(database, pending[i], &value) != 0) fail(pending[i], "no such property");
        if (value == 0) continue;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        i = (size_t)-1;
    }
#endif
}

static void compact(void)
{
    DB(compact_range)(database, NULL, 0, NULL, 0);
}

static void collect(const void *with)
{
    open_with(options_of(with), 0);
    DB(iterator_t) *iterator = DB(create_iterator)(database, reading);
    for (DB(iter_seek_to_first)(iterator); DB(iter_valid)(iterator); DB(iter_next)(iterator)) {
        size_t length;
        const char *bytes = DB(iter_key)(iterator, &length);
        driver_data = hash(driver_data, bytes, length);
        bytes = DB(iter_value)(iterator, &length);
        driver_data = hash(driver_data, bytes, length);
    }
    char *error = NULL;
    DB(iter_get_error)(iterator, &error);
    check(error, "iterate");
    DB(iter_destroy)(iterator);
    DB(close)(database);
}

static void prepare_compacted(const void *with)
{
    open_with(options_of(with), 0);
    for (uint64_t key = 0; key < KEYS; key++) put(key, 0);
    compact();
    wait_for_background();
    DB(close)(database);
}

struct reader {
    pthread_t thread;
    uint64_t seed, count, sum;
};

static void *read_thread(void *argument)
{
    struct reader *reader = argument;
    for (uint64_t i = 0; i < reader->count; i++)
        reader->sum = get(random_next(&reader->seed) % KEYS, reader->sum);
    return NULL;
}

static void *write_thread(void *count)
{
    uint64_t random = 99;
    for (uint64_t i = 0; i < *(const uint64_t *)count; i++) put(random_next(&random) % KEYS, i + 1);
    return NULL;
}

static void start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    const int error = pthread_create(thread, NULL, body, argument);
    if (error) fail("thread", strerror(error));
}

static void run_reads(const void *with)
{
    const struct settings *settings = with;
    struct reader readers[MOST_THREADS] = {0};
    uint64_t written = settings->written;
    pthread_t writer;
    open_with(options_of(settings), 0);
    measure_begin();
    if (written) start(&writer, write_thread, &written);
    for (int i = 0; i < settings->threads; i++) {
        readers[i].seed = (uint64_t)i + 1;
        readers[i].count = settings->count;
        start(&readers[i].thread, read_thread, &readers[i]);
    }
    for (int i = 0; i < settings->threads; i++) {
        pthread_join(readers[i].thread, NULL);
        driver_data = hash(driver_data, &readers[i].sum, sizeof readers[i].sum);
    }
    if (written) {
        pthread_join(writer, NULL);
        wait_for_background();
    }
    measure_end();
    DB(close)(database);
}

static void run_writes(const void *with)
{
    const struct settings *settings = with;
    open_with(options_of(settings), settings->sync);
    measure_begin();
    for (uint64_t i = 0; i < settings->count; i++) put(settings->random ? random_below(KEYS) : i, i + 1);
    wait_for_background();
    measure_end();
    DB(close)(database);
}

#ifdef ROCKSDB
// Tables that overlap, all still in level 0.
static void prepare_uncompacted(const void *with)
{
    const struct settings *settings = with;
    rocksdb_options_t *options = options_of(settings);
    rocksdb_options_set_disable_auto_compactions(options, 1);
    open_with(options, 0);
    for (uint64_t i = 0; i < settings->count; i++) put(random_below(KEYS), i + 1);
    char *error = NULL;
    rocksdb_flush(database, rocksdb_flushoptions_create(), &error);
    check(error, "flush");
    rocksdb_close(database);
}

static void run_compact(const void *with)
{
    rocksdb_options_t *options = options_of(with);
    rocksdb_options_set_disable_auto_compactions(options, 1);
    open_with(options, 0);
    measure_begin();
    compact();
    measure_end();
    DB(close)(database);
}
#endif

#define WITH(...) &(const struct settings){__VA_ARGS__}

const struct workload workloads[] = {
#ifdef ROCKSDB
    {"read", prepare_compacted, run_reads, NULL, WITH(.count = 200000, .threads = 1)},
    {"read-2-threads", prepare_compacted, run_reads, NULL, WITH(.count = 100000, .threads = 2)},
    {"read-while-writing", prepare_compacted, run_reads, collect,
     WITH(.count = 100000, .threads = 1, .written = 40000)},
    {"fill", NULL, run_writes, collect, WITH(.count = 300000)},
    {"fill-random", NULL, run_writes, collect, WITH(.count = 150000, .random = 1, .buffer = 4 << 20)},
    {"overwrite", prepare_compacted, run_writes, collect, WITH(.count = 80000, .random = 1, .buffer = 4 << 20)},
    {"compact", prepare_uncompacted, run_compact, collect, WITH(.count = 700000, .buffer = 4 << 20)},
#else
    {"read", prepare_compacted, run_reads, NULL, WITH(.count = 300000, .threads = 1)},
    {"fill", NULL, run_writes, collect, WITH(.count = 400000)},
    {"fill-sync", NULL, run_writes, collect, WITH(.count = 400000, .sync = 1)},
#endif
    {0},
};

// Kyoto Cabinet's hash database, of which all but the first MiB is read and written by calls (it maps 64 MiB unless
// it is told otherwise): databases-kyoto prepare|run WORKLOAD DIRECTORY. 200,000 values of 300 bytes, 65 MB.
#include <inttypes.h>
#include <kclangc.h>
#include <stdio.h>

#include "driver.h"

enum { KEYS = 200000, KEY = 16, VALUE = 300 };

const char *const driver_name = "kyoto";

static KCDB *database;

static void check(int32_t done, const char *what)
{
    if (!done) fail(what, kcdbemsg(database));
}

static void open_file(void)
{
    database = kcdbnew();
    // Chains of one record on average; the file says how it is hashed once it is made, the mapping is set at each open.
    check(kcdbopen(database, "data.kch#bnum=400000#msiz=1048576", KCOWRITER | KCOCREATE), "open");
}

static void close_file(void)
{
    check(kcdbclose(database), "close");
    kcdbdel(database);
}

static void key_of(char *key, uint64_t number)
{
    snprintf(key, KEY + 1, "%016" PRIu64, number);
}

static void set(uint64_t number, uint64_t version)
{
    char key[KEY + 1], value[VALUE];
    key_of(key, number);
    fill_value(value, sizeof value, number, version);
    check(kcdbset(database, key, KEY, value, sizeof value), "set");
}

static uint64_t get(uint64_t number, uint64_t sum)
{
    char key[KEY + 1];
    size_t length;
    key_of(key, number);
    char *value = kcdbget(database, key, KEY, &length);
    check(value != NULL, "get");
    sum = hash(sum, value, length);
    kcfree(value);
    return sum;
}

static void prepare(const void *with)
{
    (void)with;
    open_file();
    for (uint64_t number = 0; number < KEYS; number++) set(number, 0);
    close_file();
}

static void run_reads(const void *count)
{
    open_file();
    measure_begin();
    for (uint64_t i = 0; i < *(const uint64_t *)count; i++) driver_data = get(random_below(KEYS), driver_data);
    measure_end();
    close_file();
}

static void run_writes(const void *count)
{
    open_file();
    measure_begin();
    for (uint64_t i = 0; i < *(const uint64_t *)count; i++) set(random_below(KEYS), i + 1);
    check(kcdbsync(database, 0, NULL, NULL), "synchronize");
    measure_end();
    close_file();
}

static void collect(const void *count)
{
    (void)count;
    open_file();
    for (uint64_t number = 0; number < KEYS; number++) driver_data = get(number, driver_data);
    close_file();
}

const struct workload workloads[] = {
    {"read", prepare, run_reads, NULL, &(const uint64_t){500000}},
    {"write", prepare, run_writes, collect, &(const uint64_t){350000}},
    {0},
};

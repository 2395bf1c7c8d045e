// BerkeleyDB 5.3, a B-tree of 60 MB through a cache of 1 MiB: databases-berkeley prepare|run WORKLOAD DIRECTORY. Values
// of 300 bytes. `commit` is in a transactional environment, whose log is synced by every transaction of one row.
#include <db.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"

enum { KEYS = 170000, KEY = 16, VALUE = 300, CACHE = 1 << 20 };

struct settings {
    int transactional;
    uint64_t count;
};

const char *const driver_name = "berkeley";

static DB_ENV *environment;
static DB *database;

static void check(int result, const char *what)
{
    if (result != 0) fail(what, db_strerror(result));
}

static void open_with(const struct settings *settings)
{
    u_int32_t flags = DB_CREATE;
    if (settings->transactional) {
        check(db_env_create(&environment, 0), "environment");
        check(environment->set_cachesize(environment, 0, CACHE, 1), "cache");
        // Else the data set is mostly the log of how it was filled.
        check(environment->log_set_config(environment, DB_LOG_AUTO_REMOVE, 1), "log");
        // The regions that a copy has are those of other processes: recovery makes them anew.
        check(environment->open(environment, ".", DB_CREATE | DB_INIT_MPOOL | DB_INIT_LOCK | DB_INIT_LOG | DB_INIT_TXN |
                                DB_RECOVER, 0600), "open environment");
        flags |= DB_AUTO_COMMIT;
    }
    check(db_create(&database, environment, 0), "create");
    if (!environment) check(database->set_cachesize(database, 0, CACHE, 1), "cache");
    // By default the file system says how large a page is, and tmpfs with huge pages says 2 MiB.
    check(database->set_pagesize(database, 4096), "page size");
    check(database->open(database, NULL, "data.db", NULL, DB_BTREE, flags, 0600), "open");
}

static void close_all(void)
{
    check(database->close(database, 0), "close");
    if (!environment) return;
    check(environment->txn_checkpoint(environment, 0, 0, DB_FORCE), "checkpoint");
    check(environment->close(environment, 0), "close environment");
    environment = NULL;
}

static void put(DB_TXN *transaction, uint64_t number, uint64_t version)
{
    char name[KEY + 1], value[VALUE];
    DBT key = {.data = name, .size = KEY}, data = {.data = value, .size = VALUE};
    snprintf(name, sizeof name, "%016lu", number);
    fill_value(value, sizeof value, number, version);
    check(database->put(database, transaction, &key, &data, 0), "put");
}

static void collect(const void *with)
{
    DBC *cursor;
    DBT key = {0}, data = {0};
    int result;
    open_with(with);
    check(database->cursor(database, NULL, &cursor, 0), "cursor");
    while ((result = cursor->get(cursor, &key, &data, DB_NEXT)) == 0) {
        driver_data = hash(driver_data, key.data, key.size);
        driver_data = hash(driver_data, data.data, data.size);
    }
    if (result != DB_NOTFOUND) check(result, "next");
    check(cursor->close(cursor), "close cursor");
    close_all();
}

static void prepare(const void *with)
{
    open_with(with);
    for (uint64_t number = 0; number < KEYS; number++) put(NULL, number, 0);
    close_all();
}

static void run_reads(const void *with)
{
    const struct settings *settings = with;
    open_with(settings);
    measure_begin();
    for (uint64_t i = 0; i < settings->count; i++) {
        char name[KEY + 1];
        DBT key = {.data = name, .size = KEY}, data = {0};
        snprintf(name, sizeof name, "%016lu", random_below(KEYS));
        check(database->get(database, NULL, &key, &data, 0), "get");
        driver_data = hash(driver_data, data.data, data.size);
    }
    measure_end();
    close_all();
}

static void run_writes(const void *with)
{
    const struct settings *settings = with;
    open_with(settings);
    measure_begin();
    for (uint64_t i = 0; i < settings->count; i++) put(NULL, random_below(KEYS), i + 1);
    check(database->sync(database, 0), "sync");
    measure_end();
    close_all();
}

static void run_commits(const void *with)
{
    const struct settings *settings = with;
    open_with(settings);
    measure_begin();
    for (uint64_t i = 0; i < settings->count; i++) {
        DB_TXN *transaction;
        check(environment->txn_begin(environment, NULL, &transaction, DB_TXN_SYNC), "begin");
        put(transaction, random_below(KEYS), i + 1);
        check(transaction->commit(transaction, 0), "commit");
    }
    measure_end();
    close_all();
}

#define WITH(...) &(const struct settings){__VA_ARGS__}

const struct workload workloads[] = {
    {"read", prepare, run_reads, NULL, WITH(0, 400000)},
    {"write", prepare, run_writes, collect, WITH(0, 280000)},
    {"commit", prepare, run_commits, collect, WITH(1, 100000)},
    {0},
};

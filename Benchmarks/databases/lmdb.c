// LMDB by write() or through its mapping (MDB_WRITEMAP): databases-lmdb prepare|run WORKLOAD DIRECTORY. Keys of 8
// bytes, values of 100; transactions and reads are on 300,000 of them, 45 MB (`transactions-small`: on 5,000, which the
// caches of a CPU hold). Every commit is synchronous.
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum { KEYS = 300000, FEW = 5000, VALUE = 100, BATCH = 1000 };

struct settings {
    unsigned flags;
    uint64_t keys, count; // a fill has no count
};

const char *const driver_name = "lmdb";

static MDB_env *environment;
static MDB_txn *transaction;
static MDB_dbi table;

static void check(int result, const char *what)
{
    if (result != 0) fail(what, mdb_strerror(result));
}

static void begin(unsigned flags)
{
    check(mdb_txn_begin(environment, NULL, flags, &transaction), "begin");
}

static void commit(void)
{
    check(mdb_txn_commit(transaction), "commit");
}

static void open_with(const struct settings *settings)
{
    check(mdb_env_create(&environment), "create");
    check(mdb_env_set_mapsize(environment, 256ul << 20), "map size");
    check(mdb_env_open(environment, ".", settings->flags, 0600), "open");
    begin(0);
    check(mdb_dbi_open(transaction, NULL, MDB_INTEGERKEY, &table), "table");
    commit();
}

static void put(uint64_t number, uint64_t version)
{
    char value[VALUE];
    fill_value(value, sizeof value, number, version);
    MDB_val key = {sizeof number, &number}, data = {sizeof value, value};
    check(mdb_put(transaction, table, &key, &data, 0), "put");
}

static void put_all(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (i % BATCH == 0) begin(0);
        put(i * 7919 % count, 0);
        if (i % BATCH == BATCH - 1) commit();
    }
}

static void collect(const void *with)
{
    open_with(with);
    begin(MDB_RDONLY);
    MDB_cursor *cursor;
    MDB_val key, data;
    int result;
    check(mdb_cursor_open(transaction, table, &cursor), "cursor");
    while ((result = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
        driver_data = hash(driver_data, key.mv_data, key.mv_size);
        driver_data = hash(driver_data, data.mv_data, data.mv_size);
    }
    if (result != MDB_NOTFOUND) check(result, "next");
    mdb_cursor_close(cursor);
    mdb_txn_abort(transaction);
    mdb_env_close(environment);
}

static void prepare_filled(const void *with)
{
    const struct settings *settings = with;
    open_with(settings);
    put_all(settings->keys);
    mdb_env_close(environment);
}

static void run_transactions(const void *with)
{
    const struct settings *settings = with;
    open_with(settings);
    measure_begin();
    for (uint64_t i = 0; i < settings->count; i++) {
        begin(0);
        put(random_below(settings->keys), i + 1);
        commit();
    }
    measure_end();
    mdb_env_close(environment);
}

static void run_fill(const void *with)
{
    const struct settings *settings = with;
    open_with(settings);
    measure_begin();
    put_all(settings->keys);
    measure_end();
    mdb_env_close(environment);
}

// Each look-up in a transaction of its own, as a program has it that wants to see the newest.
static void run_reads(const void *with)
{
    const struct settings *settings = with;
    open_with(settings);
    begin(MDB_RDONLY);
    mdb_txn_reset(transaction);
    measure_begin();
    for (uint64_t i = 0; i < settings->count; i++) {
        uint64_t number = random_below(settings->keys);
        MDB_val key = {sizeof number, &number}, data;
        check(mdb_txn_renew(transaction), "renew");
        check(mdb_get(transaction, table, &key, &data), "get");
        driver_data = hash(driver_data, data.mv_data, data.mv_size);
        mdb_txn_reset(transaction);
    }
    measure_end();
    mdb_txn_abort(transaction);
    mdb_env_close(environment);
}

#define WITH(...) &(const struct settings){__VA_ARGS__}

const struct workload workloads[] = {
    {"transactions", prepare_filled, run_transactions, collect, WITH(0, KEYS, 100000)},
    {"transactions-small", prepare_filled, run_transactions, collect, WITH(0, FEW, 250000)},
    {"fill", NULL, run_fill, collect, WITH(0, 350000, 0)},
    {"map-transactions", prepare_filled, run_transactions, collect, WITH(MDB_WRITEMAP, KEYS, 220000)},
    {"map-fill", NULL, run_fill, collect, WITH(MDB_WRITEMAP, 700000, 0)},
    {"read", prepare_filled, run_reads, NULL, WITH(0, KEYS, 1500000)},
    {0},
};

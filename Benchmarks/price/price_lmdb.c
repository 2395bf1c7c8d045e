// LMDB, through its mapping (MDB_WRITEMAP) or by writes: price-lmdb DIRECTORY map|write fill|transactions ROUNDS
// Prints CPU and wall time, in nanoseconds a round: a round is one key of a fill, or one transaction of one key.
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check(int result, const char *what)
{
    if (result == 0) return;
    fprintf(stderr, "price-lmdb: %s: %s\n", what, mdb_strerror(result));
    exit(2);
}

static double nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void put(MDB_txn *transaction, MDB_dbi table, long number)
{
    char value[100] = {0};
    memcpy(value, &number, sizeof number);
    MDB_val key = {sizeof number, &number}, data = {sizeof value, value};
    check(mdb_put(transaction, table, &key, &data, 0), "put");
}

int main(int count, char **arguments)
{
    if (count != 5) return 2;
    const int fill = strcmp(arguments[3], "fill") == 0;
    const long rounds = atol(arguments[4]);
    MDB_env *environment;
    MDB_txn *transaction;
    MDB_dbi table;
    check(mdb_env_create(&environment), "create");
    check(mdb_env_set_mapsize(environment, 256ul << 20), "mapsize");
    const unsigned flags = strcmp(arguments[2], "map") == 0 ? MDB_WRITEMAP : 0;
    check(mdb_env_open(environment, arguments[1], flags, 0600), "open");
    check(mdb_txn_begin(environment, NULL, 0, &transaction), "begin");
    check(mdb_dbi_open(transaction, NULL, 0, &table), "table");
    check(mdb_txn_commit(transaction), "commit");
    const double cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), wall = nanoseconds(CLOCK_MONOTONIC);
    if (fill) check(mdb_txn_begin(environment, NULL, 0, &transaction), "begin");
    for (long i = 0; i < rounds; i++) {
        if (!fill) check(mdb_txn_begin(environment, NULL, 0, &transaction), "begin");
        put(transaction, table, i * 7919 % rounds);
        if (!fill) check(mdb_txn_commit(transaction), "commit");
    }
    if (fill) check(mdb_txn_commit(transaction), "commit");
    printf("%.1f %.1f\n", (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)rounds,
           (nanoseconds(CLOCK_MONOTONIC) - wall) / (double)rounds);
    mdb_env_close(environment);
    return 0;
}

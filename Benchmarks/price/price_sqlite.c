// One-row transactions, or a connection for each request, on a SQLite database of 20,000 rows in the directory given:
// price-sqlite DIRECTORY transactions|connections JOURNAL_MODE ROUNDS CALLS
// (CALLS: look-ups in one connection). Prints CPU and wall time, in nanoseconds a round.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 20000 };

static void run(sqlite3 *database, const char *statement)
{
    char *message = NULL;
    if (sqlite3_exec(database, statement, NULL, NULL, &message) == SQLITE_OK) return;
    fprintf(stderr, "price-sqlite: %s: %s\n", statement, message);
    exit(2);
}

static sqlite3 *opened(const char *path, const char *mode)
{
    sqlite3 *database;
    char pragma[64];
    if (sqlite3_open(path, &database) != SQLITE_OK) {
        fprintf(stderr, "price-sqlite: %s\n", sqlite3_errmsg(database));
        exit(2);
    }
    snprintf(pragma, sizeof pragma, "pragma journal_mode=%s", mode);
    run(database, pragma);
    run(database, "pragma synchronous=full");
    return database;
}

static void fill(sqlite3 *database)
{
    char statement[256];
    run(database, "create table if not exists t(a integer primary key, b text)");
    run(database, "begin");
    for (int i = 0; i < ROWS; i++) {
        snprintf(statement, sizeof statement, "insert or ignore into t values(%d, '%0100d')", i, i);
        run(database, statement);
    }
    run(database, "commit");
}

static double nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void transactions(sqlite3 *database, long rounds)
{
    char statement[256];
    for (long i = 0; i < rounds; i++) {
        snprintf(statement, sizeof statement, "update t set b='%0100ld' where a=%d", i, rand() % ROWS);
        run(database, statement);
    }
}

static void connections(const char *path, const char *mode, long rounds, long calls)
{
    char statement[256];
    for (long i = 0; i < rounds; i++) {
        sqlite3 *database = opened(path, mode);
        for (long call = 0; call < calls; call++) {
            snprintf(statement, sizeof statement, "select b from t where a=%d", rand() % ROWS);
            run(database, statement);
        }
        sqlite3_close(database);
    }
}

int main(int count, char **arguments)
{
    if (count != 6) return 2;
    const char *mode = arguments[3];
    const long rounds = atol(arguments[4]);
    char path[4096];
    snprintf(path, sizeof path, "%s/price.db", arguments[1]);
    sqlite3 *database = opened(path, mode);
    fill(database);
    srand(1);
    const int one = strcmp(arguments[2], "transactions") == 0;
    if (!one) sqlite3_close(database);
    const double cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), wall = nanoseconds(CLOCK_MONOTONIC);
    if (one) transactions(database, rounds);
    else connections(path, mode, rounds, atol(arguments[5]));
    printf("%.1f %.1f\n", (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)rounds,
           (nanoseconds(CLOCK_MONOTONIC) - wall) / (double)rounds);
    return 0;
}

// Rows of SQLite: what a commit costs.
#include "dax_rows.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static sqlite3 *database;
static sqlite3_stmt *update;

enum { ITEMS = 2000, LOG_IN_USE = 3000 };

static void check(int result, int wanted, const char *what)
{
    if (result == wanted)
        return;
    fprintf(stderr, "%s: %s\n", what, database ? sqlite3_errmsg(database) : sqlite3_errstr(result));
    exit(1);
}

static void execute(const char *sql) { check(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK, sql); }

static void run_commit(const struct dax_row *row, unsigned operations);

static void begin_commit(const struct dax_row *row, const char *directory, unsigned slice)
{
    if (slice > 0)
        return;
    char path[4096];
    snprintf(path, sizeof path, "%s/commit.db", directory);
    unlink(path);
    check(sqlite3_open(path, &database), SQLITE_OK, path);
    execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA mmap_size = 0;"
            "CREATE TABLE item (id INTEGER PRIMARY KEY, payload BLOB);"
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)"
            "INSERT INTO item SELECT i, zeroblob(200) FROM n");
    check(sqlite3_prepare_v2(database, "UPDATE item SET payload = randomblob(200) WHERE id = ?", -1, &update, NULL),
        SQLITE_OK, "prepare");
    run_commit(row, LOG_IN_USE);
}

// The log is written from its start again after each checkpoint, as SQLite does by itself every 1,000 pages: what comes
// before the slices makes it, and overwrites it once or twice; the slices go on with that.
static void run_commit(const struct dax_row *row, unsigned operations)
{
    (void)row;
    for (unsigned i = 0; i < operations; i++) {
        sqlite3_bind_int64(update, 1, (sqlite3_int64)(dax_random() % ITEMS));
        check(sqlite3_step(update), SQLITE_DONE, "update");
        check(sqlite3_reset(update), SQLITE_OK, "update");
    }
}

const struct dax_row dax_sqlite_rows[] = {
    {"sqlite-commit", "SQLite commit of one row (WAL, synchronous=FULL)", 500, begin_commit, run_commit, 0, 0},
    {.id = NULL},
};

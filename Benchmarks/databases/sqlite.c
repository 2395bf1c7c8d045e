// SQLite in each journal mode, with caches small and large: databases-sqlite prepare|run WORKLOAD DIRECTORY. The data
// set is a table of 120,000 rows of 300 bytes, 40 MB; `vacuum` has four databases of 60 MB, `speed` makes its own.
#include "sqlite.h"

#include <stdio.h>
#include <unistd.h>

#include "driver.h"

enum { ROWS = 120000, PAYLOAD = 300, REQUEST = 10, VACUUMED = 4, VACUUM_ROWS = 155000 };

struct settings {
    const char *journal;
    int cache; // as in the pragma cache_size: pages, or where below 0 KiB
    int count; // of transactions, look-ups or connections
    int rows;  // in one transaction
};

enum { SMALL = -400, DEFAULT = -2000, LARGE = -131072 };

const char *const driver_name = "sqlite";

sqlite3 *database;

static void check(int result, int wanted, const char *what)
{
    if (result != wanted) fail(what, database ? sqlite3_errmsg(database) : sqlite3_errstr(result));
}

void execute(const char *sql)
{
    check(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK, sql);
}

sqlite3_stmt *prepared(const char *sql)
{
    sqlite3_stmt *statement;
    check(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK, sql);
    return statement;
}

void finish(sqlite3_stmt *statement)
{
    check(sqlite3_step(statement), SQLITE_DONE, sqlite3_sql(statement));
    check(sqlite3_reset(statement), SQLITE_OK, sqlite3_sql(statement));
}

void collect(sqlite3_stmt *statement)
{
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int column = 0; column < sqlite3_column_count(statement); column++) {
            // A number becomes its text. The bytes are counted after that.
            const void *bytes = sqlite3_column_blob(statement, column);
            driver_data = hash(driver_data, bytes, (size_t)sqlite3_column_bytes(statement, column));
        }
    }
    check(result, SQLITE_DONE, sqlite3_sql(statement));
    check(sqlite3_reset(statement), SQLITE_OK, sqlite3_sql(statement));
}

void collect_once(const char *sql)
{
    sqlite3_stmt *statement = prepared(sql);
    collect(statement);
    sqlite3_finalize(statement);
}

static void set(const char *pragma, const char *value)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA %s = %s", pragma, value);
    execute(sql);
}

static void open_file(const char *file, const struct settings *settings)
{
    char cache[16];
    check(sqlite3_open(file, &database), SQLITE_OK, file);
    snprintf(cache, sizeof cache, "%d", settings->cache);
    set("cache_size", cache);
    set("synchronous", "full");
    // A file in WAL mode stays so, and `delete` is how any other begins.
    if (settings->journal) set("journal_mode", settings->journal);
    // Sorters and VACUUM spill into files; the default is /var/tmp.
    if (!sqlite3_temp_directory) sqlite3_temp_directory = sqlite3_mprintf(".");
}

static void close_file(void)
{
    check(sqlite3_close(database), SQLITE_OK, "close");
    database = NULL;
}

static void bind_payload(sqlite3_stmt *statement, int parameter, uint64_t number, uint64_t version)
{
    static unsigned char payload[PAYLOAD];
    fill_value(payload, sizeof payload, number, version);
    sqlite3_bind_blob(statement, parameter, payload, sizeof payload, SQLITE_STATIC);
}

static void fill(int rows)
{
    execute("CREATE TABLE item (id INTEGER PRIMARY KEY, payload BLOB); BEGIN");
    sqlite3_stmt *insert = prepared("INSERT INTO item VALUES (?, ?)");
    for (int row = 0; row < rows; row++) {
        sqlite3_bind_int(insert, 1, row);
        bind_payload(insert, 2, (uint64_t)row, 0);
        finish(insert);
    }
    sqlite3_finalize(insert);
    execute("COMMIT");
}

static void prepare_items(const void *with)
{
    open_file("data.db", with);
    fill(ROWS);
    close_file();
}

static void run_updates(const void *with)
{
    const struct settings *settings = with;
    open_file("data.db", settings);
    sqlite3_stmt *update = prepared("UPDATE item SET payload = ? WHERE id = ?");
    measure_begin();
    for (int i = 0; i < settings->count; i++) {
        if (settings->rows > 1) execute("BEGIN");
        for (int row = 0; row < settings->rows; row++) {
            const uint64_t id = random_below(ROWS);
            bind_payload(update, 1, id, (uint64_t)i + 1);
            sqlite3_bind_int64(update, 2, (sqlite3_int64)id);
            finish(update);
        }
        if (settings->rows > 1) execute("COMMIT");
    }
    measure_end();
    sqlite3_finalize(update);
    close_file();
}

static void collect_items(const void *with)
{
    open_file("data.db", with);
    collect_once("SELECT id, payload FROM item ORDER BY id");
    close_file();
}

static void look_up(sqlite3_stmt *select)
{
    sqlite3_bind_int64(select, 1, (sqlite3_int64)random_below(ROWS));
    check(sqlite3_step(select), SQLITE_ROW, "look-up");
    driver_data = hash(driver_data, sqlite3_column_blob(select, 0), 32);
    check(sqlite3_reset(select), SQLITE_OK, "look-up");
}

static void run_lookups(const void *with)
{
    const struct settings *settings = with;
    open_file("data.db", settings);
    sqlite3_stmt *select = prepared("SELECT payload FROM item WHERE id = ?");
    measure_begin();
    for (int i = 0; i < settings->count; i++) look_up(select);
    measure_end();
    sqlite3_finalize(select);
    close_file();
}

static void run_connections(const void *with)
{
    const struct settings *settings = with;
    measure_begin();
    for (int i = 0; i < settings->count; i++) {
        open_file("data.db", settings);
        sqlite3_stmt *select = prepared("SELECT payload FROM item WHERE id = ?");
        for (int call = 0; call < REQUEST; call++) look_up(select);
        sqlite3_finalize(select);
        close_file();
    }
    measure_end();
}

static void run_speed(const void *with)
{
    open_file("speed.db", with);
    measure_begin();
    speed_mix();
    measure_end();
    close_file();
}

static void collect_speed(const void *with)
{
    open_file("speed.db", with);
    speed_collect();
    close_file();
}

// Rows by an index in another order than that of the table, and then every second of them away: pages half full, and
// no neighbour where it should be.
static void prepare_vacuum(const void *with)
{
    char file[32];
    for (int number = 0; number < VACUUMED; number++) {
        snprintf(file, sizeof file, "data-%d.db", number);
        open_file(file, with);
        execute("PRAGMA cache_size = -131072; PRAGMA synchronous = off;"
                "CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, payload BLOB);"
                "CREATE INDEX item_kind ON item (kind); BEGIN");
        sqlite3_stmt *insert = prepared("INSERT INTO item VALUES (?, ?, ?)");
        for (int row = 0; row < VACUUM_ROWS; row++) {
            sqlite3_bind_int64(insert, 1, (sqlite3_int64)row * 7919 % VACUUM_ROWS);
            sqlite3_bind_int64(insert, 2, (sqlite3_int64)random_below(1000000));
            bind_payload(insert, 3, (uint64_t)row, 0);
            finish(insert);
        }
        sqlite3_finalize(insert);
        execute("COMMIT; DELETE FROM item WHERE kind % 2 = 0");
        close_file();
    }
}

static void run_vacuum(const void *with)
{
    char file[32];
    for (int number = 0; number < VACUUMED; number++) {
        snprintf(file, sizeof file, "data-%d.db", number);
        open_file(file, with);
        measure_begin();
        execute("VACUUM");
        measure_end();
        close_file();
    }
}

static void collect_vacuum(const void *with)
{
    char file[32];
    for (int number = 0; number < VACUUMED; number++) {
        snprintf(file, sizeof file, "data-%d.db", number);
        open_file(file, with);
        collect_once("PRAGMA page_count");
        collect_once("SELECT id, kind, payload FROM item ORDER BY id");
        close_file();
    }
}

#define WITH(...) &(const struct settings){__VA_ARGS__}

const struct workload workloads[] = {
    {"wal-1", prepare_items, run_updates, collect_items, WITH("wal", SMALL, 100000, 1)},
    {"wal-1-cached", prepare_items, run_updates, collect_items, WITH("wal", LARGE, 100000, 1)},
    {"wal-20", prepare_items, run_updates, collect_items, WITH("wal", SMALL, 6000, 20)},
    {"delete", prepare_items, run_updates, collect_items, WITH("delete", DEFAULT, 35000, 1)},
    {"truncate", prepare_items, run_updates, collect_items, WITH("truncate", DEFAULT, 40000, 1)},
    {"persist", prepare_items, run_updates, collect_items, WITH("persist", DEFAULT, 40000, 1)},
    {"lookups", prepare_items, run_lookups, NULL, WITH("delete", SMALL, 120000, 1)},
    {"lookups-wal", prepare_items, run_lookups, NULL, WITH("wal", SMALL, 200000, 1)},
    {"connections", prepare_items, run_connections, NULL, WITH(NULL, DEFAULT, 6000, 1)},
    {"speed", NULL, run_speed, collect_speed, WITH("delete", DEFAULT, 0, 0)},
    {"speed-small", NULL, run_speed, collect_speed, WITH("delete", SMALL, 0, 0)},
    {"speed-wal", NULL, run_speed, collect_speed, WITH("wal", DEFAULT, 0, 0)},
    {"speed-wal-small", NULL, run_speed, collect_speed, WITH("wal", SMALL, 0, 0)},
    {"vacuum", prepare_vacuum, run_vacuum, collect_vacuum, WITH("delete", DEFAULT, 0, 0)},
    {0},
};

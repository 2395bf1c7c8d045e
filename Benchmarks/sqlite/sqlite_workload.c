// The demo's SQLite workload: `sqlite-workload DATABASE [ROWS]`, an ordinary program on the system's libsqlite3.
//
// Fills a table, looks rows up at random with a page cache far smaller than the file (so that reads reach the kernel,
// or the shim), scans it, updates rows, checkpoints the write-ahead log. Prints one line per phase, "PHASE SECONDS CPU"
// (CPU: seconds of user and system time), and a checksum of all it has read: with the same ROWS every run must print
// the same checksum and leave the same rows.
#include <inttypes.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAYLOAD = 300, ROWS_PER_TRANSACTION = 1000 };

static sqlite3 *database;
static uint64_t random_state = 42, checksum = 14695981039346656037ull;

static void check(int result, int wanted, const char *what)
{
    if (result == wanted)
        return;
    fprintf(stderr, "sqlite-workload: %s: %s\n", what, database ? sqlite3_errmsg(database) : sqlite3_errstr(result));
    exit(1);
}

static void execute(const char *sql)
{
    check(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK, sql);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    check(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK, sql);
    return statement;
}

static uint64_t next_random(void)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return random_state >> 24;
}

static void add(const void *bytes, int count)
{
    for (int i = 0; i < count; i++)
        checksum = (checksum ^ ((const unsigned char *)bytes)[i]) * 1099511628211ull;
}

static void fill_payload(unsigned char *payload)
{
    for (int i = 0; i < PAYLOAD; i += 4) {
        uint32_t word = (uint32_t)next_random();
        memcpy(payload + i, &word, 4);
    }
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Runs `statement` until it is done, then makes it ready for the next parameters.
static void finish(sqlite3_stmt *statement, const char *what)
{
    check(sqlite3_step(statement), SQLITE_DONE, what);
    check(sqlite3_reset(statement), SQLITE_OK, what);
}

static void fill(int64_t rows)
{
    unsigned char payload[PAYLOAD];
    execute("CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, payload BLOB)");
    sqlite3_stmt *insert = prepare("INSERT INTO item VALUES (?, ?, ?)");
    for (int64_t row = 0; row < rows; row++) {
        if (row % ROWS_PER_TRANSACTION == 0)
            execute(row ? "COMMIT; BEGIN" : "BEGIN");
        fill_payload(payload);
        sqlite3_bind_int64(insert, 1, row);
        sqlite3_bind_int64(insert, 2, (int64_t)(next_random() % 1000));
        sqlite3_bind_blob(insert, 3, payload, PAYLOAD, SQLITE_STATIC);
        finish(insert, "insert");
    }
    execute("COMMIT");
    sqlite3_finalize(insert);
    execute("CREATE INDEX item_kind ON item (kind)");
}

static void look_up(int64_t rows)
{
    sqlite3_stmt *select = prepare("SELECT kind, payload FROM item WHERE id = ?");
    for (int64_t i = 0; i < 2 * rows; i++) {
        if (i % ROWS_PER_TRANSACTION == 0)
            execute(i ? "COMMIT; BEGIN" : "BEGIN");
        sqlite3_bind_int64(select, 1, (int64_t)(next_random() % (uint64_t)rows));
        check(sqlite3_step(select), SQLITE_ROW, "select");
        const int64_t kind = sqlite3_column_int64(select, 0);
        add(&kind, sizeof kind);
        add(sqlite3_column_blob(select, 1), 16);
        check(sqlite3_reset(select), SQLITE_OK, "select");
    }
    execute("COMMIT");
    sqlite3_finalize(select);
}

static void scan(int64_t rows)
{
    // By the index: rows of one kind lie all over the table.
    sqlite3_stmt *select = prepare("SELECT id, substr(payload, 1, 16) FROM item WHERE kind = ? ORDER BY id");
    int64_t seen = 0;
    for (int64_t i = 0; seen < rows / 2; i++) {
        sqlite3_bind_int64(select, 1, i % 1000);
        int result;
        while ((result = sqlite3_step(select)) == SQLITE_ROW) {
            add(sqlite3_column_blob(select, 1), sqlite3_column_bytes(select, 1));
            seen++;
        }
        check(result, SQLITE_DONE, "scan");
        check(sqlite3_reset(select), SQLITE_OK, "scan");
    }
    sqlite3_finalize(select);
}

static void update(int64_t rows)
{
    unsigned char payload[PAYLOAD];
    // The log keeps all of it: the checkpoint is a phase of its own.
    execute("PRAGMA wal_autocheckpoint = 0");
    sqlite3_stmt *update = prepare("UPDATE item SET payload = ? WHERE id = ?");
    for (int64_t i = 0; i < rows / 5; i++) {
        if (i % 20 == 0)
            execute(i ? "COMMIT; BEGIN" : "BEGIN");
        fill_payload(payload);
        sqlite3_bind_blob(update, 1, payload, PAYLOAD, SQLITE_STATIC);
        sqlite3_bind_int64(update, 2, (int64_t)(next_random() % (uint64_t)rows));
        finish(update, "update");
    }
    execute("COMMIT");
    sqlite3_finalize(update);
}

static void checkpoint(int64_t rows)
{
    (void)rows;
    check(sqlite3_wal_checkpoint_v2(database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK, "checkpoint");
}

static void phase(const char *name, void (*work)(int64_t), int64_t rows)
{
    const double begin = seconds(CLOCK_MONOTONIC), begin_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    work(rows);
    printf("%s %.4f %.4f\n", name, seconds(CLOCK_MONOTONIC) - begin, seconds(CLOCK_PROCESS_CPUTIME_ID) - begin_cpu);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const int64_t rows = argc > 2 ? atoll(argv[2]) : 200000;
    if (argc < 2 || rows < ROWS_PER_TRANSACTION) {
        fprintf(stderr, "usage: sqlite-workload DATABASE [ROWS, %d at least]\n", ROWS_PER_TRANSACTION);
        return 2;
    }
    check(sqlite3_open(argv[1], &database), SQLITE_OK, argv[1]);
    // 400 KiB of page cache; the log grows to 4,000 pages before SQLite checkpoints by itself.
    execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -400;"
            "PRAGMA wal_autocheckpoint = 4000; PRAGMA mmap_size = 0");
    phase("fill", fill, rows);
    phase("lookup", look_up, rows);
    phase("scan", scan, rows);
    phase("update", update, rows);
    phase("checkpoint", checkpoint, rows);
    phase("lookup-again", look_up, rows);
    check(sqlite3_close(database), SQLITE_OK, "close");
    printf("checksum %016" PRIx64 "\n", checksum);
    return 0;
}

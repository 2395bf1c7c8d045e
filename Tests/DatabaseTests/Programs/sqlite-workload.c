// SQLite through libsqlite3, as an application uses it. One process does one job:
//
//   fill DB       make the schema and a deterministic history of inserts, updates, deletes, rollbacks and blob writes
//   transfer DB   move money between accounts and replace documents; the total of all balances never changes
//   watch DB      read in snapshots: the total holds in each, and every document's bytes agree with its checksum
//
// Options, as NAME=VALUE after the database: journal, synchronous, page, mmap, steps, seed, cache.
// Prints what it did; exit status 0 when everything it read was consistent, 1 when not, 2 for any other error.
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCOUNTS = 200, START_BALANCE = 1000, DOCUMENTS = 300, BUSY_TIMEOUT_MS = 60000 };

struct options {
    const char *journal, *synchronous;
    int page, cache;
    long mmap, steps;
    uint64_t seed;
};

static sqlite3 *database;
static uint64_t random_state;

// PCG-like: the same numbers on every run with the same seed.
static uint32_t next_random(uint32_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % bound;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(database));
    exit(2);
}

static void run(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sql);
    sqlite3_free(sql);
}

// The first column of the first row, as a number.
static int64_t number(const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
        fail(sql);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static uint32_t checksum(const unsigned char *bytes, int count)
{
    uint32_t hash = 2166136261u;
    for (int at = 0; at < count; at++)
        hash = (hash ^ bytes[at]) * 16777619u;
    return hash;
}

// A document: its bytes depend on the seed, its checksum is stored beside them.
static void put_document(int key)
{
    static unsigned char bytes[40000];
    // Mostly within a page, sometimes a chain of overflow pages.
    int size = next_random(8) == 0 ? 2000 + (int)next_random(sizeof bytes - 2000) : (int)next_random(900);
    uint32_t word = 0;
    for (int at = 0; at < size; at++) {
        if (at % 4 == 0)
            word = next_random(UINT32_MAX);
        bytes[at] = (unsigned char)(word >> (at % 4 * 8));
    }
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", -1, &statement, NULL))
        fail("prepare document");
    sqlite3_bind_int(statement, 1, key);
    sqlite3_bind_int64(statement, 2, checksum(bytes, size));
    sqlite3_bind_blob(statement, 3, bytes, size, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE)
        fail("put document");
    sqlite3_finalize(statement);
}

// Returns the number of documents whose bytes do not agree with their checksum.
static int wrong_documents(void)
{
    sqlite3_stmt *statement;
    int wrong = 0, status;
    if (sqlite3_prepare_v2(database, "SELECT id, sum, bytes FROM documents", -1, &statement, NULL) != SQLITE_OK)
        fail("prepare documents");
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        uint32_t expected = (uint32_t)sqlite3_column_int64(statement, 1);
        const unsigned char *bytes = sqlite3_column_blob(statement, 2);
        if (checksum(bytes, sqlite3_column_bytes(statement, 2)) != expected) {
            fprintf(stderr, "document %d is not what was written\n", sqlite3_column_int(statement, 0));
            wrong++;
        }
    }
    if (status != SQLITE_DONE)
        fail("read documents");
    sqlite3_finalize(statement);
    return wrong;
}

static void move_money(void)
{
    int amount = 1 + (int)next_random(50);
    run("UPDATE accounts SET balance = balance - %d, changes = changes + 1 WHERE id = %d", amount,
        next_random(ACCOUNTS));
    run("UPDATE accounts SET balance = balance + %d, changes = changes + 1 WHERE id = %d", amount,
        next_random(ACCOUNTS));
}

// Writes into a row's bytes in place, through SQLite's incremental blob interface.
static void write_into_blob(int key)
{
    sqlite3_blob *blob;
    char bytes[700];
    memset(bytes, 'a' + key % 26, sizeof bytes);
    if (sqlite3_blob_open(database, "main", "areas", "bytes", key, 1, &blob) != SQLITE_OK)
        fail("open blob");
    for (int part = 0; part < 4; part++)
        if (sqlite3_blob_write(blob, bytes, sizeof bytes, (int)next_random(20000 - sizeof bytes)) != SQLITE_OK)
            fail("write blob");
    if (sqlite3_blob_close(blob) != SQLITE_OK)
        fail("close blob");
}

static void fill(const struct options *options)
{
    run("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, changes INTEGER NOT NULL)");
    run("CREATE TABLE documents (id INTEGER PRIMARY KEY, sum INTEGER NOT NULL, bytes BLOB NOT NULL)");
    run("CREATE TABLE areas (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)");
    run("CREATE INDEX by_sum ON documents (sum)");
    run("BEGIN");
    for (int account = 0; account < ACCOUNTS; account++)
        run("INSERT INTO accounts VALUES (%d, %d, 0)", account, START_BALANCE);
    for (int key = 0; key < 5; key++)
        run("INSERT INTO areas VALUES (%d, zeroblob(20000))", key);
    run("COMMIT");
    for (long step = 0; step < options->steps; step++) {
        run("BEGIN IMMEDIATE");
        move_money();
        for (int document = 0; document < 10; document++)
            put_document((int)next_random(DOCUMENTS));
        run("SAVEPOINT inner");
        put_document((int)next_random(DOCUMENTS));
        run("DELETE FROM documents WHERE id %% 10 = %d", next_random(10));
        run(step % 3 == 0 ? "ROLLBACK TO inner" : "RELEASE inner");
        write_into_blob((int)next_random(5));
        run(step % 7 == 6 ? "ROLLBACK" : "COMMIT");
        if (step == options->steps / 2) {
            run("CREATE INDEX by_balance ON accounts (balance, changes)");
            run("ANALYZE");
        }
    }
}

static int watch(const struct options *options)
{
    int wrong = 0;
    for (long step = 0; step < options->steps; step++) {
        run("BEGIN");
        int64_t total = number("SELECT sum(balance) FROM accounts");
        if (total != (int64_t)ACCOUNTS * START_BALANCE) {
            fprintf(stderr, "snapshot %ld: total %lld\n", step, (long long)total);
            wrong++;
        }
        // The table and its index must tell the same, and must not change within a snapshot.
        int64_t rows = number("SELECT count(*) FROM documents NOT INDEXED");
        wrong += wrong_documents();
        if (number("SELECT count(*) FROM documents INDEXED BY by_sum WHERE sum >= 0") != rows) {
            fprintf(stderr, "snapshot %ld: index and table differ\n", step);
            wrong++;
        }
        run("COMMIT");
        usleep(1000);
    }
    return wrong;
}

static void transfer(const struct options *options)
{
    for (long step = 0; step < options->steps; step++) {
        run("BEGIN IMMEDIATE");
        move_money();
        put_document((int)next_random(DOCUMENTS));
        put_document((int)next_random(DOCUMENTS));
        if (step % 5 == 0)
            run("DELETE FROM documents WHERE id = %d", next_random(DOCUMENTS));
        run(step % 11 == 10 ? "ROLLBACK" : "COMMIT");
        // Between two transactions the others must have their turn.
        usleep(500);
    }
}

static void apply(const struct options *options)
{
    run("PRAGMA page_size = %d", options->page);
    run("PRAGMA journal_mode = %s", options->journal);
    run("PRAGMA synchronous = %s", options->synchronous);
    run("PRAGMA mmap_size = %lld", (long long)options->mmap);
    // A small cache: pages are read again from the file, and spilled into it before the commit.
    run("PRAGMA cache_size = %d", options->cache);
}

static struct options parse(char **arguments)
{
    struct options options = {"delete", "full", 4096, 20, 0, 60, 1};
    for (; *arguments; arguments++) {
        const char *value = strchr(*arguments, '=');
        size_t length = value ? (size_t)(value++ - *arguments) : 0;
        if (length == 7 && !strncmp(*arguments, "journal", length)) options.journal = value;
        else if (length == 11 && !strncmp(*arguments, "synchronous", length)) options.synchronous = value;
        else if (length == 4 && !strncmp(*arguments, "page", length)) options.page = atoi(value);
        else if (length == 5 && !strncmp(*arguments, "cache", length)) options.cache = atoi(value);
        else if (length == 4 && !strncmp(*arguments, "mmap", length)) options.mmap = atol(value);
        else if (length == 5 && !strncmp(*arguments, "steps", length)) options.steps = atol(value);
        else if (length == 4 && !strncmp(*arguments, "seed", length)) options.seed = strtoull(value, NULL, 10);
        else {
            fprintf(stderr, "unknown option: %s\n", *arguments);
            exit(2);
        }
    }
    return options;
}

int main(int count, char **arguments)
{
    if (count < 3) {
        fprintf(stderr, "usage: %s fill|transfer|watch DATABASE [NAME=VALUE]...\n", arguments[0]);
        return 2;
    }
    struct options options = parse(arguments + 3);
    random_state = options.seed;
    if (sqlite3_open(arguments[2], &database) != SQLITE_OK)
        fail("open");
    sqlite3_busy_timeout(database, BUSY_TIMEOUT_MS);
    apply(&options);
    int wrong = 0;
    if (!strcmp(arguments[1], "fill"))
        fill(&options);
    else if (!strcmp(arguments[1], "transfer"))
        transfer(&options);
    else if (!strcmp(arguments[1], "watch"))
        wrong = watch(&options);
    else
        return 2;
    wrong += wrong_documents();
    printf("%s: %ld steps, total %lld, %d wrong\n", arguments[1], options.steps,
           (long long)number("SELECT sum(balance) FROM accounts"), wrong);
    if (sqlite3_close(database) != SQLITE_OK)
        fail("close");
    return wrong != 0;
}

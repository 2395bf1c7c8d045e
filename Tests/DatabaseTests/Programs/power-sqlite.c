// power-sqlite write DB: commits one row after the other until it is killed; prints "sqlite N" when row N is committed.
// power-sqlite check DB N: whether all rows up to N are there, whole, and the database is in order.
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sqlite3 *database;

static void check(int result, int wanted, const char *what)
{
    if (result == wanted)
        return;
    printf("FAILED: sqlite: %s: %s\n", what, database ? sqlite3_errmsg(database) : sqlite3_errstr(result));
    exit(1);
}

static void execute(const char *sql) { check(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK, sql); }

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    check(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK, sql);
    return statement;
}

// A row's bytes follow from its number: mostly a part of a page, sometimes several.
static int payload(int64_t row, unsigned char *bytes)
{
    const int length = row % 16 == 0 ? 9000 : 100 + (int)(row * 37 % 700);
    for (int i = 0; i < length; i++)
        bytes[i] = (unsigned char)(row * 31 + i * 7);
    return length;
}

static void work(void)
{
    unsigned char bytes[9000];
    execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA mmap_size = 0;"
            "PRAGMA wal_autocheckpoint = 200;"
            "CREATE TABLE item (id INTEGER PRIMARY KEY, payload BLOB)");
    sqlite3_stmt *insert = prepare("INSERT INTO item VALUES (?, ?)");
    for (int64_t row = 1;; row++) {
        sqlite3_bind_int64(insert, 1, row);
        sqlite3_bind_blob(insert, 2, bytes, payload(row, bytes), SQLITE_STATIC);
        check(sqlite3_step(insert), SQLITE_DONE, "insert");
        check(sqlite3_reset(insert), SQLITE_OK, "insert");
        char line[32];
        const int length = snprintf(line, sizeof line, "sqlite %lld\n", (long long)row);
        if (write(STDOUT_FILENO, line, (size_t)length) != length)
            exit(2);
    }
}

static int verify(int64_t acknowledged)
{
    unsigned char bytes[9000];
    sqlite3_stmt *integrity = prepare("PRAGMA integrity_check");
    check(sqlite3_step(integrity), SQLITE_ROW, "integrity_check");
    if (strcmp((const char *)sqlite3_column_text(integrity, 0), "ok") != 0) {
        printf("FAILED: sqlite: integrity_check: %s\n", sqlite3_column_text(integrity, 0));
        return 1;
    }
    sqlite3_finalize(integrity);
    sqlite3_stmt *select = prepare("SELECT id, payload FROM item ORDER BY id");
    int64_t rows = 0;
    int result;
    while ((result = sqlite3_step(select)) == SQLITE_ROW) {
        const int length = payload(++rows, bytes);
        if (sqlite3_column_int64(select, 0) != rows || sqlite3_column_bytes(select, 1) != length
            || memcmp(sqlite3_column_blob(select, 1), bytes, (size_t)length) != 0) {
            printf("FAILED: sqlite: row %lld is missing or has other bytes\n", (long long)rows);
            return 1;
        }
    }
    check(result, SQLITE_DONE, "select");
    if (rows < acknowledged)
        printf("FAILED: sqlite: %lld commits acknowledged, %lld rows\n", (long long)acknowledged, (long long)rows);
    printf("sqlite: %lld commits acknowledged, %lld rows, integrity_check ok\n", (long long)acknowledged,
           (long long)rows);
    return rows < acknowledged;
}

int main(int argc, char **argv)
{
    const int writes = argc == 3 && strcmp(argv[1], "write") == 0;
    if (!writes && !(argc == 4 && strcmp(argv[1], "check") == 0)) {
        fprintf(stderr, "usage: power-sqlite write DATABASE | check DATABASE NUMBER\n");
        return 2;
    }
    check(sqlite3_open(argv[2], &database), SQLITE_OK, argv[2]);
    if (writes)
        work();
    return verify(atoll(argv[3]));
}

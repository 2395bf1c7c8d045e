// A mix of statements in the manner of SQLite's own speedtest1: tables without and with indexes filled, ranges and
// patterns looked for, rows updated, deleted and replaced, joins, an aggregate, the integrity check.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"
#include "sqlite.h"

enum { ROWS = 12000, ALONE = 1000, TEXT = 160 };

// A number in English words, as speedtest1 has it, so that LIKE and the order of texts mean something.
static int words(char *text, size_t size, uint64_t number)
{
    static const char *const small[] = {
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
    static const char *const tens[] = {
        "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"};
    static const struct { uint64_t value; const char *name; } large[] = {
        {1000000000, "billion"}, {1000000, "million"}, {1000, "thousand"}, {100, "hundred"}};
    int used = 0;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        if (number < large[i].value) continue;
        used += words(text + used, size - (size_t)used, number / large[i].value);
        used += snprintf(text + used, size - (size_t)used, " %s ", large[i].name);
        number %= large[i].value;
    }
    if (number >= 20) {
        used += snprintf(text + used, size - (size_t)used, "%s ", tens[number / 10]);
        number %= 10;
    }
    return used + snprintf(text + used, size - (size_t)used, "%s", small[number]);
}

// Numbers from 1 to ROWS in an order that is not theirs.
static int scattered(int number)
{
    return (int)((int64_t)number * 7919 % ROWS) + 1;
}

static void bind_words(sqlite3_stmt *statement, int parameter, uint64_t number)
{
    static char text[TEXT];
    const int length = words(text, sizeof text, number);
    sqlite3_bind_text(statement, parameter, text, length, SQLITE_TRANSIENT);
}

static void insert(const char *sql, int count, int ordered)
{
    sqlite3_stmt *statement = prepared(sql);
    for (int i = 0; i < count; i++) {
        sqlite3_bind_int(statement, 1, ordered ? i + 1 : scattered(i));
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)random_below(1000000000));
        bind_words(statement, 3, random_below(1000000000000));
        finish(statement);
    }
    sqlite3_finalize(statement);
}

// `count` queries for ranges of `width` numbers, of which there are `limit`.
static void ranges(const char *sql, int count, uint64_t limit, uint64_t width)
{
    sqlite3_stmt *statement = prepared(sql);
    for (int i = 0; i < count; i++) {
        const uint64_t first = random_below(limit - width);
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)first);
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)(first + width));
        collect(statement);
    }
    sqlite3_finalize(statement);
}

static void patterns(const char *sql, int count)
{
    sqlite3_stmt *statement = prepared(sql);
    for (int i = 0; i < count; i++) {
        char text[TEXT] = "%";
        const int length = words(text + 1, sizeof text - 2, 20 + random_below(80));
        strcpy(text + 1 + length, "%");
        sqlite3_bind_text(statement, 1, text, -1, SQLITE_TRANSIENT);
        collect(statement);
    }
    sqlite3_finalize(statement);
}

// `count` statements with a random number, for a row each.
static void rows(const char *sql, int count)
{
    sqlite3_stmt *statement = prepared(sql);
    for (int i = 0; i < count; i++) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)random_below(ROWS) + 1);
        if (sqlite3_bind_parameter_count(statement) > 1)
            sqlite3_bind_int64(statement, 2, (sqlite3_int64)random_below(1000000000));
        collect(statement);
    }
    sqlite3_finalize(statement);
}

static void fill(void)
{
    execute("BEGIN; CREATE TABLE z1 (a INTEGER NOT NULL, b INTEGER NOT NULL, c TEXT NOT NULL)");
    insert("INSERT INTO z1 VALUES (?, ?, ?)", ROWS, 0);
    execute("COMMIT; BEGIN; CREATE TABLE z2 (a INTEGER PRIMARY KEY, b INTEGER NOT NULL, c TEXT NOT NULL)");
    insert("INSERT INTO z2 VALUES (?, ?, ?)", ROWS, 1);
    execute("COMMIT; BEGIN; CREATE TABLE t3 (a INTEGER NOT NULL UNIQUE, b INTEGER NOT NULL, c TEXT NOT NULL)");
    insert("INSERT INTO t3 VALUES (?, ?, ?)", ROWS, 0);
    execute("COMMIT; CREATE TABLE alone (a INTEGER PRIMARY KEY, b INTEGER NOT NULL, c TEXT NOT NULL)");
    // Each a transaction of its own.
    insert("INSERT INTO alone VALUES (?, ?, ?)", ALONE, 1);
}

static void query(void)
{
    execute("BEGIN");
    ranges("SELECT count(*), avg(b), sum(length(c)) FROM z1 WHERE b BETWEEN ? AND ?", 20, 1000000000, 100000000);
    patterns("SELECT count(*), avg(b), sum(length(c)) FROM z1 WHERE c LIKE ?", 10);
    patterns("SELECT a, b, c FROM z1 WHERE c LIKE ? ORDER BY a", 6);
    patterns("SELECT a, b, c FROM z1 WHERE c LIKE ? ORDER BY a LIMIT 10", 6);
    execute("COMMIT; BEGIN; CREATE UNIQUE INDEX t1b ON z1 (b, a); CREATE INDEX t1c ON z1 (c);"
            "CREATE UNIQUE INDEX t2b ON z2 (b, a); CREATE INDEX t2c ON z2 (c DESC); CREATE INDEX t3b ON t3 (b);"
            "COMMIT; BEGIN");
    ranges("SELECT count(*), avg(b), sum(length(c)) FROM z1 WHERE b BETWEEN ? AND ?", 3000, 1000000000, 1000000);
    ranges("SELECT count(*), avg(b), sum(length(c)) FROM z2 WHERE a BETWEEN ? AND ?", 3000, ROWS, 10);
    ranges("SELECT count(*), sum(a) FROM t3 WHERE b BETWEEN ? AND ?", 3000, 1000000000, 500000);
    execute("COMMIT");
    // Without a transaction around them: every one takes and gives back its lock.
    rows("SELECT b, c FROM z2 WHERE a = ?", 6000);
}

static void change(void)
{
    execute("BEGIN; CREATE TABLE t4 (a INTEGER, b INTEGER, c TEXT); CREATE INDEX t4a ON t4 (a);"
            "CREATE INDEX t4b ON t4 (b); CREATE INDEX t4c ON t4 (c)");
    insert("INSERT INTO t4 VALUES (?, ?, ?)", ROWS, 0);
    execute("COMMIT; BEGIN; DELETE FROM z2; INSERT INTO z2 (a, b, c) SELECT a, b, c FROM z1; COMMIT");
    execute("ALTER TABLE z2 ADD COLUMN d INTEGER DEFAULT 123");
    collect_once("SELECT sum(d) FROM z2");
    execute("BEGIN");
    ranges("UPDATE z2 SET d = b * 2 WHERE b BETWEEN ? AND ?", 3000, 1000000000, 1000000);
    rows("UPDATE z2 SET d = b * 3 WHERE a = ?", ROWS);
    execute("COMMIT; BEGIN; UPDATE z2 SET d = b * 4; COMMIT");
    rows("UPDATE t3 SET b = ?2 WHERE a = ?1", ALONE);
    execute("BEGIN");
    ranges("DELETE FROM z2 WHERE b BETWEEN ? AND ?", 2000, 1000000000, 500000);
    rows("DELETE FROM t3 WHERE a = ?", ROWS / 2);
    execute("COMMIT; BEGIN; REPLACE INTO z2 (a, b, c) SELECT a, b, c FROM z1; REPLACE INTO t3 SELECT a, b, c FROM z1;"
            "COMMIT");
}

static void join(void)
{
    execute("BEGIN");
    ranges("SELECT z1.c, t4.b FROM z1, z2, t3, t4 WHERE t4.a = t3.a AND t3.a = z2.a AND z2.b = z1.b "
           "AND z1.b BETWEEN ? AND ?", 1500, 1000000000, 500000);
    collect_once("SELECT sum(a), max(c), avg((SELECT a FROM z2 WHERE 5 + z2.b = z1.b) AND rowid % 2) FROM z1 "
                 "WHERE rowid < 100");
    collect_once("SELECT b % 100 AS kind, count(*), sum(length(c)), min(c) FROM t4 GROUP BY kind ORDER BY kind");
    execute("COMMIT");
    rows("REPLACE INTO alone VALUES (?1, ?2, 'replaced')", ALONE);
    collect_once("PRAGMA integrity_check");
    execute("ANALYZE");
}

void speed_mix(void)
{
    fill();
    query();
    change();
    join();
}

void speed_collect(void)
{
    collect_once("PRAGMA integrity_check");
    collect_once("SELECT * FROM z1 ORDER BY rowid");
    collect_once("SELECT * FROM z2 ORDER BY rowid");
    collect_once("SELECT * FROM t3 ORDER BY rowid");
    collect_once("SELECT * FROM t4 ORDER BY rowid");
    collect_once("SELECT * FROM alone ORDER BY rowid");
}

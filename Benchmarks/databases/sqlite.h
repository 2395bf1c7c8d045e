// The pieces of databases-sqlite: statements, and the mix of sqlite_speed.c.
#ifndef DATABASES_SQLITE_H
#define DATABASES_SQLITE_H

#include <sqlite3.h>

extern sqlite3 *database;

// Runs all statements of the text.
void execute(const char *sql);

sqlite3_stmt *prepared(const char *sql);

// Runs a statement that gives no rows, and makes it ready for the next parameters.
void finish(sqlite3_stmt *statement);

// Runs a query to its end; the rows go into driver_data.
void collect(sqlite3_stmt *statement);
void collect_once(const char *sql);

// The mix in the manner of SQLite's speedtest1, on an empty database that is open.
void speed_mix(void);

// All rows that it has left.
void speed_collect(void);

#endif

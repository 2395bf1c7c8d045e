"""What the driver `duckdb` runs: duckdb_workloads.py prepare|run scan-aggregate|join|insert DIRECTORY

The table is several times as large as the memory that DuckDB is given, and there is one thread. Prints `data CHECKSUM`
and the CPU and wall time of the phase, in nanoseconds.
"""

import os
import sys
import time

import duckdb

ROWS = 4_000_000
SCANS = 16
JOINS = 5
BATCHES = 100
BATCH = 5_000
MEMORY = "48MB"


def connect(directory, memory=MEMORY):
    connection = duckdb.connect(os.path.join(directory, "duck.db"))
    for setting in (f"memory_limit='{memory}'", "threads=1", "preserve_insertion_order=true",
                    f"temp_directory='{os.path.join(directory, 'temporary')}'", "enable_progress_bar=false"):
        connection.execute(f"SET {setting}")
    return connection


def prepare(workload, directory):
    """Hashes do not compress, so that the file is as large as the rows."""
    with connect(directory, "1GB") as connection:
        if workload == "insert":
            connection.execute("CREATE TABLE event (id BIGINT, a UBIGINT, b UBIGINT, text VARCHAR)")
            return
        connection.execute(f"CREATE TABLE item AS SELECT i AS id, hash(i) AS a, hash(i * 7 + 1) AS b, hash(i * 11 + 2) "
                           f"AS c, (hash(i * 13 + 3) % 50000)::INTEGER AS kind FROM range({ROWS}) AS r(i)")
        connection.execute("CREATE TABLE kind AS SELECT i::INTEGER AS id, 'kind ' || (i % 100) AS name, hash(i) AS w "
                           "FROM range(50000) AS r(i)")
        connection.execute("CHECKPOINT")


def scan_aggregate(connection):
    for turn in range(SCANS):
        yield connection.execute(
            "SELECT ? + count(*), bit_xor(a), bit_xor(b), bit_xor(c), sum(kind) FROM item", [turn]).fetchall()


def join(connection):
    for turn in range(JOINS):
        yield connection.execute(
            "SELECT name, count(*), sum(item.b % 1000), max(item.c) FROM item JOIN kind ON item.kind = kind.id "
            "WHERE item.a % 8 <> ? GROUP BY name ORDER BY name", [turn]).fetchall()


def insert(connection):
    for batch in range(BATCHES):
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO event SELECT i, hash(i), hash(i * 7 + 1), 'event ' || hash(i * 11 + 2) "
            "FROM range(?, ?) AS r(i)",
            [batch * BATCH, (batch + 1) * BATCH])
        connection.execute("COMMIT")
        if batch % 4 == 3:
            connection.execute("CHECKPOINT")
    yield from ()


def run(workload, directory):
    with connect(directory) as connection:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        results = list({"scan-aggregate": scan_aggregate, "join": join, "insert": insert}[workload](connection))
        cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
        if workload == "insert":
            results = connection.execute(
                "SELECT count(*), bit_xor(hash(id, a, b, text)), min(id), max(id) FROM event").fetchall()
        digest = connection.execute("SELECT md5(?)", [repr(results)]).fetchall()[0][0]
    print(f"data {digest}")
    print(cpu, wall)


def main():
    command, workload, directory = sys.argv[1:]
    if workload not in ("scan-aggregate", "join", "insert"):
        sys.exit(f"duckdb: no workload {workload}: scan-aggregate, join, insert")
    (prepare if command == "prepare" else run)(workload, os.path.abspath(directory))


if __name__ == "__main__":
    main()

"""The rows of databases.py: program, driver, workload, title, target, where it runs, and what a user should set."""

TMPFS = ("tmpfs",)
EVERYWHERE = ("tmpfs", "huge", "ext4")
HARMLESS = 0.97  # of programs that should not care


class Row:
    """A workload. `target`: the least ratio of CPU time on tmpfs, native to shim, or nothing where only the figure is
    of interest. `quick`: it is in --quick. `places`: kinds of mount it runs on.
    """

    def __init__(self, program, driver, workload, title, target=None, quick=False, places=TMPFS, advice=""):
        self.program, self.driver, self.workload, self.title = program, driver, workload, title
        self.target, self.quick, self.places, self.advice = target, quick, places, advice
        self.name = f"{driver.removeprefix('databases-')}/{workload}"


def of(program, driver, entries):
    """Rows of one program: (workload, title, target), and what more there is by name."""
    for workload, title, target, *more in entries:
        yield Row(program, driver, workload, title, target, **(more[0] if more else {}))


WAL = {"advice": "`journal_mode=wal`"}
QUICK = {"quick": True}
WIDE = {"places": EVERYWHERE}


def rows():
    yield from of("SQLite", "databases-sqlite", (
        ("wal-1", "WAL, one-row transactions, cache 400 KiB", 1.6, WAL | QUICK | WIDE),
        ("wal-1-cached", "WAL, one-row transactions, large cache", 1.6, WAL),
        ("wal-20", "WAL, 20 rows a transaction, cache 400 KiB", 2.0, WAL | QUICK),
        ("delete", "journal_mode=delete, one-row transactions", 1.1, {"advice": "better WAL"} | QUICK | WIDE),
        ("truncate", "journal_mode=truncate, one-row transactions", 1.1, {"advice": "better WAL"}),
        ("persist", "journal_mode=persist, one-row transactions", 1.1, {"advice": "better WAL"}),
        ("lookups", "look-ups, rollback mode, cache 400 KiB", 1.25, QUICK | WIDE),
        ("lookups-wal", "look-ups, WAL, cache 400 KiB", 1.25, WAL),
        ("connections", "a connection for each 10 look-ups", 1.0, QUICK),
        ("speed", "a mix like speedtest1's, default cache", 1.15, QUICK),
        ("speed-small", "a mix like speedtest1's, cache 400 KiB", 1.15),
        ("speed-wal", "a mix like speedtest1's, WAL", 1.0, WAL),
        ("speed-wal-small", "a mix like speedtest1's, WAL, cache 400 KiB", 1.15, WAL),
        ("vacuum", "VACUUM", 1.0),
    ))
    yield from of("PostgreSQL", "postgres", (
        ("select", "pgbench -S, pool 16 MiB, two clients", 1.12, WIDE),
        ("select-1", "pgbench -S, pool 16 MiB, one client", 1.12, QUICK),
        ("select-large-pool", "pgbench -S, pool 512 MiB", 1.0),
        ("tpcb", "pgbench TPC-B, pool 16 MiB, two clients", 1.08),
        ("tpcb-1", "pgbench TPC-B, pool 16 MiB, one client", 1.0),
        ("connect", "pgbench -S -C: a connection for each transaction", 1.0),
        ("copy", "COPY into a table", 1.0),
        ("fill", "pgbench -i", 1.0),
        ("index", "CREATE INDEX", 1.0),
        ("scan", "scan and join larger than the pool", 1.35),
        ("vacuum", "VACUUM after many updates", 1.0),
    ))
    no_cache = {"advice": "a small block cache: the mount is memory"}
    yield from of("RocksDB", "databases-rocksdb", (
        ("read", "random reads, no block cache", 1.4, no_cache | QUICK | WIDE),
        ("read-2-threads", "random reads, no block cache, two threads", 1.4, no_cache),
        ("read-while-writing", "random reads beside a writer", 1.2, no_cache),
        ("fill", "filling in order", 1.0),
        ("fill-random", "filling at random, write buffer 4 MiB", 1.0, QUICK),
        ("overwrite", "overwriting", 1.0),
        ("compact", "compaction", 1.0),
    ))
    yield from of("LevelDB", "databases-leveldb", (
        ("read", "random reads", 1.0),
        ("fill", "filling", 1.0),
        ("fill-sync", "filling, each write synchronous", 1.0, QUICK),
    ))
    yield from of("LMDB", "databases-lmdb", (
        ("transactions", "one-key transactions, by writes", 1.5, QUICK | WIDE),
        ("transactions-small", "one-key transactions, by writes, 1 MB", 1.5),
        ("fill", "filling, by writes", 1.0),
        ("map-transactions", "one-key transactions, MDB_WRITEMAP", 1.0),
        ("map-fill", "filling, MDB_WRITEMAP", 1.0),
        ("read", "look-ups, which it maps", 1.0),
    ))
    no_aio = {"advice": "`innodb_use_native_aio=0`"}
    yield from of("MariaDB", "mariadb", (
        ("point-select", "sysbench point selects, pool 16 MiB", 1.2, QUICK),
        ("read-only", "sysbench read-only, pool 16 MiB", 1.2),
        ("read-write", "sysbench read-write, native AIO as Debian sets it", 1.2, no_aio),
        ("read-write-no-aio", "sysbench read-write, no native AIO", 1.2),
        ("read-write-libaio", "sysbench read-write, native AIO by libaio", 1.2, no_aio),
        ("read-write-o-direct", "sysbench read-write, flush method O_DIRECT", None),
        ("read-write-fsync", "sysbench read-write, flush method fsync", None),
        ("write-only", "sysbench write-only, native AIO as Debian sets it", 1.2, no_aio),
    ))
    yield from of("Redis", "redis", (
        ("aof-always", "SET, appendfsync always", 1.0, QUICK),
        ("aof-everysec", "SET, appendfsync everysec", 1.0),
        ("load-aof", "loading an AOF", 1.0),
        ("load-rdb", "loading an RDB", 1.0),
        ("bgsave", "BGSAVE", 1.0),
    ))
    yield from of("BerkeleyDB", "databases-berkeley", (
        ("read", "look-ups, cache 1 MiB", 1.15, QUICK),
        ("write", "updates, cache 1 MiB", 1.5),
        ("commit", "one-row transactions", 0.97),
    ))
    yield from of("Kyoto Cabinet", "databases-kyoto", (
        ("read", "look-ups beyond what it maps", 1.0),
        ("write", "updates beyond what it maps", 1.0),
    ))
    yield from of("DuckDB", "duckdb", (
        ("scan-aggregate", "scan and aggregate, little memory", None),
        ("join", "join, little memory", None),
        ("insert", "batched inserts with checkpoints", None),
    ))
    yield from of("Java", "java", (
        ("random-access-file", "RandomAccessFile, 4 KiB at random", 2.0, QUICK),
        ("file-channel", "FileChannel, 4 KiB at random", 2.0),
        ("h2-select", "H2, selects, small cache", None),
        ("h2-update", "H2, updates", None),
        ("derby-select", "Derby, selects, small cache", None),
        ("derby-update", "Derby, updates", None),
    ))
    yield from of("Node.js", "node", (
        ("async-reads", "fs.read, 32 at once", 1.0, QUICK),
        ("sync-reads", "fs.readSync", 1.0),
        ("async-writes", "fs.write, 32 at once", 1.0),
    ))
    yield from of("threads", "databases-threads", (
        ("pread-1", "pread 4 KiB at random, one thread", None),
        ("pread-2", "pread 4 KiB at random, two threads", None),
        ("pwrite-1", "pwrite 4 KiB at random, one thread", None),
        ("pwrite-2", "pwrite 4 KiB at random, two threads", None),
    ))
    yield from of("programs", "programs", (
        ("git", "git add, commit, status, log", HARMLESS, QUICK),
        ("tar", "tar, making and extracting", HARMLESS),
        ("grep", "grep -r", HARMLESS),
        ("cp", "cp -a", HARMLESS),
        ("sort", "sort with temporary files", HARMLESS),
        ("gcc", "gcc", HARMLESS),
        ("python-imports", "python importing modules", HARMLESS),
        ("rsync", "rsync -a", HARMLESS),
        ("find-stat", "find and stat", HARMLESS),
    ))

-- A load for SQLite that reads and writes much more than its cache holds.
PRAGMA journal_mode = WAL;
PRAGMA cache_size = -400;
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
    INSERT INTO t SELECT i, hex(zeroblob(40)), i * 7919 % 1000003 FROM n;
CREATE INDEX ti ON t(c);
SELECT count(*), sum(y.c) FROM t x JOIN t y ON y.a = x.c % 300000 + 1;
UPDATE t SET c = c + 1 WHERE a % 7 = 0;
SELECT count(*), sum(y.c) FROM t x JOIN t y ON y.a = x.c % 300000 + 1;
SELECT sum(length(b)) FROM t;

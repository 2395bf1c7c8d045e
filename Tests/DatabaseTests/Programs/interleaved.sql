-- One connection stays open under test while a second process, never with the shim, works on the same database between
-- its statements: reads, writes, checkpoints, vacuums, truncates. `native` is that second process (see interleaved.sh).
-- Journal mode, page size and mapping were chosen by the lines before this file.
.bail on
CREATE TABLE numbers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, filler TEXT NOT NULL);
CREATE INDEX numbers_by_name ON numbers (name);
WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 4000)
INSERT INTO numbers SELECT n, printf('name-%05d', n * 7919 % 10007), printf('%0*d', 50 + n % 200, n) FROM counter;
SELECT 'filled', count(*), sum(length(filler)) FROM numbers;

.shell ./native "SELECT 'sees', count(*), sum(length(filler)) FROM numbers"
.shell ./native "PRAGMA wal_checkpoint(TRUNCATE)"
SELECT 'after its checkpoint', count(*), sum(length(name)), max(name) FROM numbers;

.shell ./native "UPDATE numbers SET filler = 'changed by the other ' || id WHERE id % 5 = 0"
SELECT 'its changes', count(*), sum(length(filler)) FROM numbers WHERE filler LIKE 'changed%';
UPDATE numbers SET filler = filler || ' and by us' WHERE id % 10 = 0;
.shell ./native "SELECT 'our changes', count(*), sum(length(filler)) FROM numbers WHERE filler LIKE '%by us'"

-- It shrinks the file under us, we grow it again.
DELETE FROM numbers WHERE id % 8 <> 0;
.shell ./native "VACUUM"
SELECT 'after its vacuum', count(*), sum(length(filler)) FROM numbers;
PRAGMA page_count;
WITH RECURSIVE counter(n) AS (SELECT 10001 UNION ALL SELECT n + 1 FROM counter WHERE n < 13000)
INSERT INTO numbers SELECT n, printf('again-%05d', n * 31 % 9973), printf('%0*d', 300, n) FROM counter;
.shell ./native "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA integrity_check"
SELECT 'grown', count(*), sum(length(filler)), min(name) FROM numbers;

-- A transaction of ours that spills, rolled back, while it looks on.
PRAGMA cache_size = 10;
BEGIN;
UPDATE numbers SET filler = 'nobody shall see this ' || filler;
DELETE FROM numbers WHERE id < 11000;
ROLLBACK;
SELECT 'rolled back', count(*), sum(length(filler)) FROM numbers;
.shell ./native "SELECT 'rolled back', count(*), sum(length(filler)) FROM numbers"

-- It empties and rebuilds what we have read.
.shell ./native "DROP TABLE numbers; VACUUM; CREATE TABLE numbers (id INTEGER PRIMARY KEY, name TEXT, filler TEXT)"
SELECT 'emptied', count(*) FROM numbers;
.shell ./native "INSERT INTO numbers SELECT value, 'built ' || value, hex(zeroblob(400)) FROM generate_series(1, 2500)"
SELECT 'rebuilt', count(*), sum(length(filler)), sum(id) FROM numbers;
CREATE TABLE other AS SELECT id * 3 AS id, filler || name AS both FROM numbers;
DELETE FROM numbers WHERE id % 2;
VACUUM;
.shell ./native "SELECT 'vacuumed by us', count(*), sum(length(both)) FROM other; PRAGMA integrity_check"
VACUUM INTO 'copy.db';
.shell ./native "PRAGMA wal_checkpoint(TRUNCATE)"
PRAGMA integrity_check;
SELECT 'end', (SELECT sum(id) FROM numbers), (SELECT sum(id) FROM other);

-- SQLite under tools that make it slow: few rows, all kinds of file work, and a look at everything that was written.
PRAGMA cache_size = 10;
CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB, sum INTEGER);
WITH RECURSIVE counter (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM counter WHERE x < 400)
INSERT INTO item SELECT x, 'body ' || x || hex(zeroblob(250)), x * 7919 % 1009 FROM counter;
CREATE INDEX by_sum ON item (sum);
UPDATE item SET body = body || 'changed' WHERE id % 7 = 0;
SELECT count(*), sum(length(body)), sum(sum) FROM item;
BEGIN; DELETE FROM item; ROLLBACK;
DELETE FROM item WHERE id % 3 = 0;
PRAGMA journal_mode = truncate;
UPDATE item SET sum = sum + 1 WHERE id % 5 = 0;
SELECT id, sum, substr(body, 1, 9), substr(body, -7) FROM item WHERE sum BETWEEN 100 AND 140 ORDER BY sum, id;
VACUUM;
PRAGMA journal_mode = wal;
INSERT INTO item SELECT id + 10000, body, sum FROM item WHERE id % 4 = 1;
SELECT count(*), sum(length(body)), sum(sum), group_concat(id % 10, '') FROM item;
PRAGMA wal_checkpoint(TRUNCATE);
PRAGMA integrity_check;

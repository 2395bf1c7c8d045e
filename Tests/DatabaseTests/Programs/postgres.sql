-- A deterministic tour of what PostgreSQL does with files: bulk loads, TOAST, every index method, sorts and hashes that
-- spill, rewrites, truncations, drops, large objects, COPY to and from files, tablespaces, databases copied both ways.
-- psql variables: directory, where the server may make files.
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET work_mem = '64kB';
SET maintenance_work_mem = '1MB';
SET synchronize_seqscans = off;

CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, tags int[] NOT NULL, at point NOT NULL, body text);
INSERT INTO items
SELECT n, md5(n::text), ARRAY[n % 17, n % 101], point(n % 211, n % 307),
       CASE WHEN n % 50 = 0 THEN (SELECT string_agg(md5((n * 1000 + k)::text), '') FROM generate_series(1, 300) k)
            ELSE md5((n * 7)::text) END
  FROM generate_series(1, 20000) n;
SELECT 'items', count(*), sum(length(body)), sum(hashtext(body)) FROM items;

CREATE INDEX items_name ON items (name);
CREATE INDEX items_hash ON items USING hash (name);
CREATE INDEX items_tags ON items USING gin (tags);
CREATE INDEX items_at ON items USING gist (at);
CREATE INDEX items_radix ON items USING spgist (name);
CREATE INDEX items_brin ON items USING brin (id);
CREATE UNIQUE INDEX CONCURRENTLY items_unique ON items (name, id);
SET enable_seqscan = off;
SELECT 'btree', count(*) FROM items WHERE name BETWEEN '2' AND '3';
SELECT 'hash', id FROM items WHERE name = md5('777');
SELECT 'gin', count(*), sum(id) FROM items WHERE tags @> ARRAY[3, 20];
SELECT 'gist', count(*), sum(id) FROM items WHERE at <@ box '((10,10),(40,60))';
SELECT 'spgist', count(*) FROM items WHERE name ^@ 'ab';
SELECT 'brin', count(*) FROM items WHERE id BETWEEN 5000 AND 6000;
RESET enable_seqscan;

SELECT 'sorted', sum(hashtext(name) % 1000 * position) FROM
       (SELECT name, row_number() OVER (ORDER BY body COLLATE "C", id) AS position FROM items) sorted;
SET enable_mergejoin = off;
SELECT 'joined', count(*), sum(a.id % 97 * (b.id % 89)) FROM items a JOIN items b ON a.name = b.name;
RESET enable_mergejoin;
SELECT 'grouped', count(*), sum(n) FROM (SELECT substr(name, 1, 3) AS head, count(*) AS n FROM items GROUP BY 1) heads;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT 'parallel', count(*), sum(length(body)), sum(hashtext(name)::bigint) FROM items;
RESET ALL;
SET client_min_messages = warning;

UPDATE items SET body = body || body WHERE id % 3 = 0;
DELETE FROM items WHERE id % 7 = 0;
VACUUM (FREEZE, ANALYZE) items;
SELECT 'vacuumed', count(*), sum(length(body)), sum(hashtext(body)) FROM items;
BEGIN;
UPDATE items SET body = 'gone';
SAVEPOINT inner_one;
TRUNCATE items;
ROLLBACK TO inner_one;
SELECT 'inside', count(*), count(DISTINCT body) FROM items;
ROLLBACK;
CLUSTER items USING items_name;
VACUUM FULL items;
ALTER TABLE items ALTER COLUMN id TYPE bigint;
REINDEX TABLE items;
SELECT 'rewritten', count(*), sum(id), sum(hashtext(body)) FROM items;

CREATE UNLOGGED TABLE scratch AS SELECT n, repeat('x', n % 500) AS pad FROM generate_series(1, 10000) n;
DELETE FROM scratch WHERE n > 2000;
VACUUM scratch;
SELECT 'cut off', count(*), pg_relation_size('scratch') FROM scratch;
TRUNCATE scratch;
INSERT INTO scratch VALUES (1, 'one');
CREATE TEMPORARY TABLE passing AS SELECT * FROM items;
CREATE INDEX ON passing (left(body, 100));
SELECT 'temporary', count(*), sum(id) FROM passing WHERE body > 'f';
DROP TABLE passing;
CREATE MATERIALIZED VIEW heads AS SELECT substr(name, 1, 2) AS head, count(*) AS n FROM items GROUP BY 1;
REFRESH MATERIALIZED VIEW heads;
SELECT 'materialized', count(*), sum(n) FROM heads;

\set copied :directory /items.copy
\set large :directory /items.large
COPY items TO :'copied' (FORMAT binary);
CREATE TABLE copied (LIKE items INCLUDING ALL);
COPY copied FROM :'copied' (FORMAT binary);
SELECT 'copied', count(*),
    (SELECT count(*) FROM (SELECT i::text FROM items i EXCEPT ALL SELECT c::text FROM copied c) different)
    FROM copied;
SELECT 'file', length(bytes), md5(bytes) FROM pg_read_binary_file(:'copied') bytes;
SELECT 'large object', lo_import(:'copied', 4242);
SELECT 'large object', length(lo_get(4242)), md5(lo_get(4242)), lo_export(4242, :'large');
SELECT 'large object', lo_put(4242, 70000, 'put into the middle');
SELECT 'large object', length(lo_get(4242)), md5(lo_get(4242, 65000, 10000));
SELECT 'exported', md5(pg_read_binary_file(:'large')) = md5(pg_read_binary_file(:'copied'));

\set space :directory /space
CREATE TABLESPACE space LOCATION :'space';
ALTER TABLE copied SET TABLESPACE space;
CREATE INDEX copied_again ON copied (left(body, 100)) TABLESPACE space;
SELECT 'tablespace', count(*), sum(hashtext(body)) FROM copied;
CREATE DATABASE by_log STRATEGY wal_log;
CREATE DATABASE by_file TEMPLATE postgres STRATEGY file_copy;
\connect by_log
SELECT 'by log', count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace;
\connect by_file
SELECT 'by file', count(*), sum(id), sum(hashtext(body)) FROM items;
SELECT 'by file', count(*), sum(hashtext(body)) FROM copied;
DROP TABLE items, copied CASCADE;
\connect postgres
DROP DATABASE by_file;
DROP TABLE scratch;
CHECKPOINT;
SELECT 'end', (SELECT sum(hashtext(body)) FROM items), (SELECT sum(hashtext(body)) FROM copied);

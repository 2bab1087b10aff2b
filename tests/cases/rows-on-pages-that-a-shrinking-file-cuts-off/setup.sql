PRAGMA auto_vacuum = 1;
PRAGMA page_size = 512;
CREATE TABLE keep(id INTEGER PRIMARY KEY, v);
INSERT INTO keep VALUES (1, 'one');
CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO t SELECT i, printf('%.*c', 200, 'v') || i FROM n;
PRAGMA journal_mode = WAL;
PRAGMA wal_checkpoint(TRUNCATE);

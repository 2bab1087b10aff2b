PRAGMA page_size = 512;
CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB);
INSERT INTO t VALUES (1, zeroblob(1500)), (2, zeroblob(1500)), (3, zeroblob(1500)), (4, zeroblob(1500)), (5, zeroblob(1500));
DELETE FROM t WHERE id = 4;
DELETE FROM t WHERE id = 3;
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (6, zeroblob(4800));

PRAGMA page_size = 512;
CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB);
INSERT INTO t VALUES (1, zeroblob(1300)), (2, zeroblob(8));

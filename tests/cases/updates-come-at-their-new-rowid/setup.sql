CREATE TABLE t(k TEXT PRIMARY KEY, v);
INSERT INTO t(rowid, k, v) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3);

CREATE TABLE t(k TEXT PRIMARY KEY, v INT, w TEXT);
INSERT INTO t VALUES ('a', 1, 'x'), ('b', 2, 'y'), ('c', 3, 'z');

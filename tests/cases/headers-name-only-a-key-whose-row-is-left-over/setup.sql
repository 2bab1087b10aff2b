CREATE TABLE t(k TEXT PRIMARY KEY, v);
INSERT INTO t VALUES ('a', 'x'), ('b', 'x'), ('c', 'y');

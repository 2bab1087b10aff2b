CREATE TABLE t(a TEXT PRIMARY KEY, b);
INSERT INTO t VALUES ('x', 1), ('y', 2), ('z', 3);

CREATE TABLE t(id INTEGER PRIMARY KEY, v);
INSERT INTO t VALUES (1, 1), (2, '2'), (3, 'abc'), (4, 0.0);

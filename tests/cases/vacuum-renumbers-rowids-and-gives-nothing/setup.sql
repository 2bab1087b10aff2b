CREATE TABLE t(a, b);
INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (3, 'three'), (5, 'five');
DELETE FROM t WHERE a = 2;
CREATE TABLE u(k TEXT PRIMARY KEY, v);
INSERT INTO u VALUES ('x', 1), ('y', 2);

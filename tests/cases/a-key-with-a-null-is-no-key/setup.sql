CREATE TABLE t(a INT, b TEXT, v, PRIMARY KEY(a, b));
INSERT INTO t VALUES (1, NULL, 'x'), (1, NULL, 'y'), (NULL, NULL, 'z');

CREATE TABLE t(v, b TEXT, a INT, w, PRIMARY KEY(a, b));
INSERT INTO t VALUES ('v', 'b', 1, 'w');

CREATE TABLE t(v TEXT, a INT, b TEXT, PRIMARY KEY(b DESC, a)) WITHOUT ROWID;
INSERT INTO t VALUES ('1', 1, 'x'), ('2', 2, 'x'), ('3', 1, 'y'), ('4', 5, 'a');

PRAGMA auto_vacuum = 1;
CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT);
INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three');

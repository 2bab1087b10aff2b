BEGIN;
DROP TABLE t;
CREATE TABLE t(k TEXT PRIMARY KEY, v INT, w TEXT);
INSERT INTO t VALUES ('b', 2, 'y'), ('c', 33, 'z'), ('d', 4, '');
COMMIT;

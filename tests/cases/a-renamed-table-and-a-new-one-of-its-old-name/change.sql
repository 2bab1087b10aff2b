-- A name that still stands is matched by name.
BEGIN;
UPDATE t SET a = a + 1;
ALTER TABLE t RENAME TO u;
CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT);
INSERT INTO t VALUES (2, 20, 'two'), (3, 30, 'three');
COMMIT;

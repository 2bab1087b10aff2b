-- Under auto_vacuum the new table can end on the old root page.
BEGIN;
CREATE TABLE new_t(b TEXT, id INTEGER PRIMARY KEY, a);
INSERT INTO new_t(id, a, b) SELECT id, a, b FROM t;
DROP TABLE t;
ALTER TABLE new_t RENAME TO t;
COMMIT;
UPDATE t SET a = 11 WHERE id = 1;

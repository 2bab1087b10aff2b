-- SQLite allows it over a third name only.
BEGIN;
ALTER TABLE t RENAME TO spare;
ALTER TABLE spare RENAME TO T;
UPDATE t SET a = 11 WHERE id = 1;
COMMIT;

-- No page and no row is what it was: the row of sqlite_schema tells.
BEGIN;
UPDATE t SET a = a + 1;
ALTER TABLE t RENAME TO u;
COMMIT;

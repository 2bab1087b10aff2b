-- The root page of t takes the place of the one that is gone.
BEGIN;
UPDATE t SET a = a + 1;
ALTER TABLE t RENAME TO u;
DROP TABLE first;
COMMIT;

-- The rows that t and k had in common tell nothing.
BEGIN;
UPDATE t SET a = a + 1;
DELETE FROM k WHERE id = 5;
UPDATE k SET a = a + 2;
ALTER TABLE t RENAME TO second;
ALTER TABLE k RENAME TO first;
COMMIT;

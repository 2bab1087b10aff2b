-- Empty before and after on the same page, which the transaction writes.
BEGIN;
ALTER TABLE t RENAME TO u;
INSERT INTO u VALUES (1, 'one');
DELETE FROM u;
COMMIT;

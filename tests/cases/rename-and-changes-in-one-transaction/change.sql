-- Row 3 is still there with equal bytes: the same table.
BEGIN;
ALTER TABLE t RENAME TO u;
UPDATE u SET a = 11 WHERE id = 1;
INSERT INTO u VALUES (4, 40, 'four');
DELETE FROM u WHERE id = 2;
COMMIT;

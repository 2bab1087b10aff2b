-- Also where only the case of letters changes.
ALTER TABLE t RENAME TO "New Name";
UPDATE "New Name" SET a = 11 WHERE id = 1;
BEGIN;
ALTER TABLE "New Name" RENAME TO tmp;
ALTER TABLE tmp RENAME TO "NEW NAME";
COMMIT;
DELETE FROM "NEW NAME" WHERE id = 2;

-- Every row of t and u has another place in its page, under the same bytes.
BEGIN;
ALTER TABLE t RENAME TO t2;
INSERT INTO t2 VALUES ('a', 0);
ALTER TABLE u RENAME TO u2;
DELETE FROM u2 WHERE k = 'a';
COMMIT;
-- No row of it is left as it was; its row in the schema is.
BEGIN;
ALTER TABLE u2 RENAME TO u3;
UPDATE u3 SET v = v + 10;
COMMIT;

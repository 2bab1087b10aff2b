-- The schema's row is another one; a row of equal bytes tells.
BEGIN;
CREATE TABLE u(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO u SELECT k, v FROM t;
INSERT INTO u VALUES ('a', 0);
UPDATE u SET v = 9 WHERE k = 'b';
DROP TABLE t;
COMMIT;

-- At a's rowid stands b afterwards, which was another row before: a did not become b.
UPDATE OR REPLACE t SET k = 'b' WHERE k = 'a';
-- c moves to another rowid; d, at its old one, was not c.
BEGIN;
UPDATE t SET rowid = 9 WHERE k = 'c';
INSERT INTO t(rowid, k, v) VALUES (3, 'd', 'y');
COMMIT;

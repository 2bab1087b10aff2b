-- With psow=0 and synchronous=FULL SQLite fills the sector with copies of the commit
-- frame.
INSERT INTO t VALUES (4, 4, 'four');
UPDATE t SET a = a;
UPDATE t SET a = 5 WHERE id = 4;
DELETE FROM t WHERE id = 4;
BEGIN;
UPDATE t SET a = 0;
COMMIT;

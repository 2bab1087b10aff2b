-- Source.rowid is null; a changed key has no headers: no rowid says that it is the
-- same row.
BEGIN;
DELETE FROM t WHERE v = '4';
DELETE FROM t WHERE v = '3';
INSERT INTO t VALUES ('n', 0, 'b');
UPDATE t SET v = 'two' WHERE v = '2';
INSERT INTO t VALUES ('n', 9, 'z');
COMMIT;
UPDATE t SET a = 7 WHERE a = 9;

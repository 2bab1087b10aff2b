-- Neither INTEGER PRIMARY KEY nor an index: the rows get other rowids.
VACUUM;
UPDATE t SET b = 'FIVE' WHERE a = 5;
UPDATE u SET v = 3 WHERE k = 'y';
DELETE FROM t WHERE rowid = 2;
VACUUM;
INSERT INTO t VALUES (6, 'six');

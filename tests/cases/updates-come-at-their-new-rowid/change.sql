-- Another rowid alone changes no value.
BEGIN;
UPDATE t SET rowid = 50, v = 10 WHERE k = 'a';
UPDATE t SET v = 30 WHERE k = 'c';
INSERT INTO t(rowid, k, v) VALUES (40, 'd', 4);
COMMIT;
UPDATE t SET rowid = 60 WHERE k = 'b';

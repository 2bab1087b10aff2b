-- Spill, SAVEPOINT, spill, ROLLBACK TO, spill more: SQLite leaves frames without salt
-- and checksum.
PRAGMA wal_autocheckpoint = 0;
PRAGMA cache_size = 10;
BEGIN;
UPDATE t SET n = 1 WHERE id < 5;
UPDATE t SET v = v || 'x' WHERE id BETWEEN 10 AND 40;
UPDATE t SET v = substr(v, 1, 800) WHERE id BETWEEN 10 AND 40;
SAVEPOINT s;
UPDATE t SET n = 9 WHERE id > 200;
UPDATE t SET n = 8 WHERE id > 200;
ROLLBACK TO s;
RELEASE s;
UPDATE t SET v = v || 'y' WHERE id BETWEEN 60 AND 180;
UPDATE t SET v = substr(v, 1, 800) WHERE id BETWEEN 60 AND 180;
UPDATE t SET n = 2 WHERE id = 170;
COMMIT;
UPDATE t SET n = 3 WHERE id = 300;

PRAGMA cache_size = 3;
BEGIN;
UPDATE t SET v = v || 'a';
DELETE FROM t WHERE id < 30;
-- !sleep 0.1
ROLLBACK;
UPDATE t SET v = 'x' WHERE id = 5;

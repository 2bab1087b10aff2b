UPDATE t SET v = 'a' WHERE id = 1;
PRAGMA cache_size = 3;
BEGIN;
UPDATE t SET v = v || 'lost';
-- !kill
UPDATE t SET v = 'b' WHERE id = 2;
BEGIN;
DELETE FROM t WHERE id = 3;
-- !kill
DELETE FROM t WHERE id = 4;

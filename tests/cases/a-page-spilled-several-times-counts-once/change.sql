PRAGMA cache_size = 3;
BEGIN;
UPDATE t SET v = v || 'a';
UPDATE t SET v = 'first' WHERE id = 1;
UPDATE t SET v = substr(v, 1, length(v) - 1) WHERE id > 1;
UPDATE t SET v = 'last' WHERE id = 60;
COMMIT;

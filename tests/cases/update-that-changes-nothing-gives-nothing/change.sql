UPDATE t SET a = a, b = b;
UPDATE t SET a = 10 WHERE id = 1;
BEGIN;
UPDATE t SET a = 99 WHERE id = 3;
UPDATE t SET a = 30 WHERE id = 3;
COMMIT;
UPDATE t SET a = 11 WHERE id = 1;

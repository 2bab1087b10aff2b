UPDATE t SET a = 1 WHERE id = 1;
-- !error
PRAGMA journal_mode = DELETE;
UPDATE t SET a = 2 WHERE id = 1;

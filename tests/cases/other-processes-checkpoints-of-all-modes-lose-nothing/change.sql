UPDATE t SET a = 1;
-- !connection other
PRAGMA wal_checkpoint(PASSIVE);
-- !connection main
UPDATE t SET a = 2;
-- !connection other
PRAGMA busy_timeout = 2000;
PRAGMA wal_checkpoint(FULL);
PRAGMA wal_checkpoint(RESTART);
-- !connection main
UPDATE t SET a = 3;
PRAGMA busy_timeout = 2000;
PRAGMA wal_checkpoint(TRUNCATE);
DELETE FROM t WHERE id = 1;
PRAGMA wal_checkpoint(TRUNCATE);
PRAGMA wal_checkpoint(TRUNCATE);
UPDATE t SET a = 4 WHERE id = 2;

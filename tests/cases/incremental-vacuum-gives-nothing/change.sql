DELETE FROM t WHERE id BETWEEN 5 AND 9;
PRAGMA incremental_vacuum(2);
UPDATE t SET v = 'x' WHERE id = 60;
PRAGMA incremental_vacuum;
UPDATE t SET v = 'y' WHERE id = 59;

-- Also where nothing else changes.
UPDATE t SET secret = 'y';
UPDATE t SET a = 2;
DELETE FROM t;

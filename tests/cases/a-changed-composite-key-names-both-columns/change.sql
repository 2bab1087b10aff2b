-- Key columns in the order of the key's definition.
UPDATE t SET a = 2 WHERE a = 1;
UPDATE t SET v = 'new' WHERE a = 2;
DELETE FROM t;

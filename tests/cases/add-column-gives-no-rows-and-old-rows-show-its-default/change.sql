-- Writing the default into a short row changes no value.
ALTER TABLE t ADD COLUMN c INT DEFAULT 5;
UPDATE t SET a = 11 WHERE id = 1;
INSERT INTO t(id) VALUES (4);
UPDATE t SET c = 5 WHERE id = 2;
UPDATE t SET c = 6 WHERE id = 2;
DELETE FROM t WHERE id = 3;

UPDATE t SET b = 'three' WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO t(id, b) VALUES (7, NULL);
UPDATE t SET id = 8 WHERE id = 7;

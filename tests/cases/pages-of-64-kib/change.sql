UPDATE t SET a = 1 WHERE id = 1;
INSERT INTO t VALUES (4, 4, 'four');

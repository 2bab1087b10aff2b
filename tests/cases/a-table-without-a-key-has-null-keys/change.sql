UPDATE t SET b = 'z' WHERE rowid = 2;
DELETE FROM t WHERE rowid = 1;
INSERT INTO t VALUES (1, 'x');

-- Stored as a, a, b, c; the key is a.
UPDATE t SET b = 22 WHERE a = 'X';
DELETE FROM t WHERE a = 'y';
INSERT INTO t VALUES ('Y', 4, 'c4');

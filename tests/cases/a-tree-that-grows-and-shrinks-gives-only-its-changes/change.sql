-- The root splits and merges again.
WITH RECURSIVE n(i) AS (SELECT 6 UNION ALL SELECT i + 1 FROM n WHERE i < 30) INSERT INTO t SELECT i, printf('%.*c', 40, 'v') || i FROM n;
UPDATE t SET v = 'x' WHERE id = 17;
DELETE FROM t WHERE id > 4;
UPDATE t SET v = 'y' WHERE id = 2;

UPDATE t SET v = 'uno';
-- What log takes makes the next pages of t stand far behind.
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO log SELECT printf('%.*c', 300, 'l') FROM n;
WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 5) INSERT INTO t SELECT i, printf('%.*c', 300, 'v') FROM n;
UPDATE t SET v = printf('%.*c', 300, 'w') WHERE id = 4;
DELETE FROM t WHERE id = 3;

-- The overflow page makes rowtail read the whole database once, as it was before.
BEGIN;
UPDATE t SET v = printf('%.*c', 2000, 'v') || 'b';
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO log SELECT printf('%.*c', 300, 'l') FROM n;
WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 5) INSERT INTO t SELECT i, printf('%.*c', 300, 'v') FROM n;
COMMIT;
UPDATE t SET v = printf('%.*c', 300, 'x') WHERE id = 4;
DELETE FROM t WHERE id = 3;

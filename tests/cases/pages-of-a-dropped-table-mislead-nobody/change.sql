UPDATE x SET v = 'x' WHERE id = 1;
DROP TABLE x;
CREATE TABLE t(id INTEGER PRIMARY KEY, v);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3) INSERT INTO t SELECT i, printf('%.*c', 3000, 't') FROM c;
INSERT INTO y VALUES (2, printf('%.*c', 3000, 'y')), (3, printf('%.*c', 3000, 'y')), (4, printf('%.*c', 3000, 'y'));
DELETE FROM y WHERE id = 3;
UPDATE t SET v = 'z' WHERE id = 2;
DELETE FROM y WHERE id = 4;

-- A parent map that is not told would still point to t.
UPDATE t SET v = printf('%.*c', 100, 'w') WHERE id = 1;
DELETE FROM t WHERE id BETWEEN 8 AND 37;
UPDATE u SET v = zeroblob(2600) WHERE id = 1;
-- !blob u v 1 700 01
-- !blob u v 1 1400 02
-- !blob u v 1 2100 03
-- !blob u v 1 2550 04
UPDATE t SET v = 'x' WHERE id = 40;

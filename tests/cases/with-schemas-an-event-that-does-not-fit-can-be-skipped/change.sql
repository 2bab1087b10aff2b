-- The first transaction has no event left; of the second two are, numbered 1 and 2.
DELETE FROM t WHERE id = 1;
BEGIN;
INSERT INTO t VALUES (3, 3), (4, 'four'), (5, 5);
COMMIT;
INSERT INTO k VALUES ('not a number', 1);

-- Every row of a range: some of them stand in interior cells.
UPDATE t SET v = 'new ' || k WHERE k BETWEEN 1 AND 20;
DELETE FROM t WHERE k BETWEEN 41 AND 60;
UPDATE t SET v = 'x' WHERE k = 80;

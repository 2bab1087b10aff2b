UPDATE t SET v = 22 WHERE k = 'b';
UPDATE f SET s = 'y';
DELETE FROM t WHERE k = 'a';

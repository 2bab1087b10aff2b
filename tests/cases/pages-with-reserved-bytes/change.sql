UPDATE t SET v = 'x' WHERE id IN (1, 40);
DELETE FROM t WHERE id BETWEEN 10 AND 20;
UPDATE k SET v = printf('%.*c', 699, 'l') || 'm';

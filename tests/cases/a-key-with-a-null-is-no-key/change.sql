-- Message key null, identity the rowid.
UPDATE t SET v = 'yy' WHERE v = 'y';
DELETE FROM t WHERE v = 'x';
INSERT INTO t VALUES (NULL, 'b', 'w');

UPDATE t SET oid = 8;
UPDATE u SET v = 'w';
INSERT INTO t VALUES ('s', 9, NULL);

-- The hash of 'x' is one that Debezium's PostgreSQL connector wrote.
INSERT INTO t VALUES ('a', 1234, 'x', 'x', 'abcdefghijklmnopqrstuvwxyz');
INSERT INTO t VALUES ('b', NULL, NULL, NULL, 'ä😀ö"éz');
INSERT INTO t VALUES ('c', x'00', 5, 1.5, 123456);
UPDATE t SET pin = 4321 WHERE k = 'a';

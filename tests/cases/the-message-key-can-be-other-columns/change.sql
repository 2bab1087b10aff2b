UPDATE t SET n = n + 10;
-- Where this key changes it is a delete and a create, the primary key apart.
UPDATE t SET owner = 'cat' WHERE id < 3;
UPDATE t SET id = 7 WHERE id = 1;
INSERT INTO nokey VALUES (1, 2, 3);
UPDATE nokey SET a = 4;
INSERT INTO k VALUES ('x', 'y');

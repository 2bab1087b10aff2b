-- An older library refuses every statement on such a schema.
UPDATE t SET a = 1 WHERE id = 1;
CREATE TABLE x(y);
INSERT INTO x VALUES (1);
UPDATE t SET a = 2 WHERE id = 2;

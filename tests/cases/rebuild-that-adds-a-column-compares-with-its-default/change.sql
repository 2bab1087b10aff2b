-- Only row 2 differs from what its old row with the default says.
BEGIN;
CREATE TABLE new_t(id INTEGER PRIMARY KEY, a, b TEXT, c INT DEFAULT 1);
INSERT INTO new_t SELECT id, a, b, CASE id WHEN 2 THEN 22 ELSE 1 END FROM t;
DROP TABLE t;
ALTER TABLE new_t RENAME TO t;
COMMIT;

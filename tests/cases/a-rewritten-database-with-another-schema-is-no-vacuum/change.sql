-- Every page is written and the freelist is empty, as after VACUUM; but it never
-- changes the schema. A row of a table without a key at another rowid is another row.
BEGIN;
DROP TABLE zz_end;
CREATE TABLE zz_end(id INTEGER PRIMARY KEY);
CREATE TABLE u(x);
DELETE FROM t WHERE a = 1;
INSERT INTO t VALUES (1, 'one');
COMMIT;

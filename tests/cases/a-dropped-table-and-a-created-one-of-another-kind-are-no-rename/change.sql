-- The new table's rows stand in an index b-tree, at the old one's root page.
BEGIN;
DROP TABLE t;
CREATE TABLE u(id INTEGER PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO u VALUES (1, 'one'), (2, 'two');
COMMIT;
UPDATE u SET v = 'zwei' WHERE id = 2;

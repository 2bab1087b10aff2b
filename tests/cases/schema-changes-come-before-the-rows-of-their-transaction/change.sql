-- An index and a view are no table's structure.
CREATE INDEX by_name ON t(name);
CREATE VIEW v AS SELECT * FROM t;
BEGIN;
INSERT INTO t(name) VALUES ('first');
ALTER TABLE t ADD COLUMN twice INT AS (id * 2);
CREATE TABLE fresh(x ANY PRIMARY KEY, y TEXT COLLATE NOCASE DEFAULT (1 + 2)) STRICT;
COMMIT;
ALTER TABLE old RENAME TO new;
DROP TABLE gone;
VACUUM;

-- Both new tables have t's rows under their rowids; only one of them was t.
BEGIN;
ALTER TABLE t RENAME TO u;
CREATE TABLE v(id INTEGER PRIMARY KEY, v);
INSERT INTO v SELECT * FROM u;
COMMIT;

-- The schema is what it was and the freelist is empty, as after VACUUM; but not every
-- page is written. A row of a table without a key at another rowid is another row.
BEGIN;
CREATE VIEW w AS SELECT 1;
DROP VIEW w;
DELETE FROM t WHERE a = 1;
INSERT INTO t VALUES (1, 'one');
COMMIT;

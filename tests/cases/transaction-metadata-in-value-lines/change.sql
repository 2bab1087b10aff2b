-- A transaction without events has neither BEGIN nor END.
BEGIN;
INSERT INTO u VALUES (1), (2);
UPDATE t SET a = 1 WHERE id = 1;
DELETE FROM t WHERE id = 2;
COMMIT;
UPDATE t SET a = a;
DELETE FROM t WHERE id = 3;

-- Anchored, case-insensitive regular expressions.
BEGIN;
INSERT INTO orders VALUES (1);
INSERT INTO orders_old VALUES (1);
INSERT INTO "Items" VALUES (1);
DELETE FROM t;
COMMIT;
DELETE FROM t;
DELETE FROM "Items";

-- Page 2 becomes a ptrmap page within one transaction, and a table's again.
PRAGMA auto_vacuum = 2;
VACUUM;
UPDATE t SET b = 'changed' WHERE a = 50;
DELETE FROM t WHERE a BETWEEN 10 AND 13;
PRAGMA auto_vacuum = 0;
VACUUM;
UPDATE t SET b = 'again' WHERE a = 49;

-- Newkey on the delete and its tombstone, oldkey on the create: w kept its value.
UPDATE t SET k = 'zz', v = 11 WHERE k = 'a';

-- Tombstones are not counted.
UPDATE t SET k = 'aa' WHERE k = 'a';

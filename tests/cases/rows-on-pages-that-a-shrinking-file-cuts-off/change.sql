-- The deleted rows' pages have no frames and leave the file with the next checkpoint.
PRAGMA wal_autocheckpoint = 1;
DELETE FROM t;
UPDATE keep SET v = 'two';

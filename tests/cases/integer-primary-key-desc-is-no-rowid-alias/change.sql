-- Quirk of SQLite: the column form is an ordinary key, the table form is the rowid.
UPDATE t SET v = 'FIVE' WHERE id = 5;
UPDATE t SET id = 4 WHERE id = 3;
UPDATE u SET v = 'FIVE';

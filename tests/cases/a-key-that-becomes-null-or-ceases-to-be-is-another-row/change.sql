UPDATE t SET k = NULL WHERE k = 'a';
UPDATE t SET k = 'b' WHERE v = 'y';

DELETE FROM t WHERE k = 'a';
UPDATE t SET k = 'bb' WHERE k = 'b';

UPDATE t SET k = 'c' WHERE k = 'a';

UPDATE t SET k = 'zz' WHERE k = 'a';

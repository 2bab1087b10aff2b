UPDATE t SET v = 11 WHERE k = 'b';

UPDATE t SET id = 9 WHERE id = 2;

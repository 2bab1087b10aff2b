UPDATE t SET a = 'y';

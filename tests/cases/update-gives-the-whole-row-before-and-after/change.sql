UPDATE t SET b = 'deux' WHERE id = 2;

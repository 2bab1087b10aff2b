UPDATE t SET v = 1.0 WHERE id = 1;
UPDATE t SET v = 2 WHERE id = 2;
UPDATE t SET v = x'616263' WHERE id = 3;
UPDATE t SET v = 0 WHERE id = 4;

INSERT INTO orders_a VALUES (1, 'a');
INSERT INTO orders_b VALUES (1, 'b');
INSERT INTO other VALUES (1, 'c');
DELETE FROM orders_b;

INSERT INTO t VALUES (1, 'many', 'half', 'some', 2);
INSERT INTO t VALUES (2, 1.5, 9e999, -9e999, 'yes');
INSERT INTO t VALUES (3, x'01', x'01', x'01', x'01');

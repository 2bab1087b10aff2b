INSERT INTO t VALUES (1, 1, '2024-02-29', 1.5, 'x', x'00');

INSERT INTO t VALUES (1, 1, 'd', 'ä😀ö');

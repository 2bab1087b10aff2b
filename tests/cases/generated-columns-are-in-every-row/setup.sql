CREATE TABLE t(g AS (b || '!'), id INTEGER PRIMARY KEY, b TEXT, s INT AS (length(b)) STORED, v REAL AS (id));
INSERT INTO t(id, b) VALUES (1, 'one'), (2, 'two');

CREATE TABLE f(id INTEGER PRIMARY KEY, s TEXT, g AS (crc(s)), h AS (upper(s)));
INSERT INTO f VALUES (1, 'x'), (2, 'y');

CREATE TABLE t(id INTEGER PRIMARY KEY, v);
INSERT INTO t VALUES (-5, 'm'), (1, 'a'), (2, 'b'), (3, 'c'), (9, 'i'), (9223372036854775807, 'max');

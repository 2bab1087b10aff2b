PRAGMA auto_vacuum=FULL;
VACUUM;
CREATE TABLE first(x);
INSERT INTO first VALUES (zeroblob(90000));
CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT);
INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two');

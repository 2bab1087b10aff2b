PRAGMA page_size = 512;
CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
INSERT INTO t VALUES (1, printf('%.*c', 2000, 'v') || 'a');
CREATE TABLE log(line TEXT);

PRAGMA page_size = 512;
CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB, w TEXT);
INSERT INTO t VALUES (1, zeroblob(2600), 'end'), (2, x'01', 'small');

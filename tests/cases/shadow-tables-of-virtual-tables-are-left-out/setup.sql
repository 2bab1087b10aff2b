CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT);
INSERT INTO t VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three');
CREATE VIRTUAL TABLE search USING fts5(title);
INSERT INTO search VALUES ('old');
CREATE VIRTUAL TABLE area USING rtree(id, x0, x1);

-- The row gets another rowid; equal values give nothing.
REPLACE INTO t VALUES ('a', 100, 'x');
REPLACE INTO t VALUES ('b', 2, 'y');
INSERT OR REPLACE INTO t VALUES ('new', 0, '');

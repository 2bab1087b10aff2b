PRAGMA encoding = 'UTF-16le';
CREATE TABLE t(k TEXT PRIMARY KEY, v TEXT DEFAULT 'dflt é');
INSERT INTO t VALUES ('schlüssel', 'wert');

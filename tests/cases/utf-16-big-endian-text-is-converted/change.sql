INSERT INTO t VALUES ('日本', 'x' || char(128512) || char(0) || 'y'), ('', '');
UPDATE t SET v = 'ÿ' WHERE k = 'schlüssel';
ALTER TABLE t ADD COLUMN w TEXT DEFAULT 'neu ü';
DELETE FROM t WHERE k = '';

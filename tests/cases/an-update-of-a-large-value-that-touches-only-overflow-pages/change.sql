-- The payload keeps its size: only one page of the chain is dirty.
UPDATE t SET v = CAST(substr(v, 1, 1500) || x'aa' || substr(v, 1502) AS BLOB) WHERE id = 1;
UPDATE t SET w = 'END' WHERE id = 1;
UPDATE t SET w = 'END' WHERE id = 1;

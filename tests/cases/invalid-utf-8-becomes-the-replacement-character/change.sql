-- One broken byte each; the update changes bytes that print alike.
INSERT INTO t VALUES (1, CAST(x'ff' AS TEXT)), (2, CAST(x'61c3' AS TEXT)), (3, CAST(x'6f6b806f6b' AS TEXT));
UPDATE t SET v = CAST(x'fe' AS TEXT) WHERE id = 1;

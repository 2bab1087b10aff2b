INSERT INTO search VALUES ('new words');
INSERT INTO area VALUES (1, 0.0, 1.0);
BEGIN;
DELETE FROM search WHERE title = 'old';
INSERT INTO t VALUES (4, 4, '');
COMMIT;
INSERT INTO search(search) VALUES ('optimize');

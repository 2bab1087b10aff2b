-- After a second alone rowtail cuts the WAL.
UPDATE t SET a = 1;
-- !close all
UPDATE t SET a = 2;
-- !close all
-- !sleep 0.05
UPDATE t SET a = 3;
-- !reopen
DELETE FROM t WHERE id = 2;
-- !close all
-- !sleep 1.5
UPDATE t SET a = 4 WHERE id = 1;

-- Freelist leaves are not written by a library without SECURE_DELETE: the rows are
-- found from the old view.
DELETE FROM t;

CREATE TABLE b(x);
ALTER TABLE a ADD COLUMN x;
-- Out of what is followed, and into it.
ALTER TABLE t RENAME TO out_of_it;
ALTER TABLE a RENAME TO t2;

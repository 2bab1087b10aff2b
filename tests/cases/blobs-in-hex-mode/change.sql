INSERT INTO t VALUES (1, x''), (2, x'00'), (3, x'FBFF');

INSERT INTO t VALUES (1, x''), (2, x'00'), (3, x'fbff'), (4, x'616263'), (5, x'fbfffe3f3e');

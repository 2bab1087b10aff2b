INSERT INTO t VALUES (1, ''), (2, 'quote" back\ slash/'), (3, char(8, 9, 10, 12, 13)), (4, char(1, 31, 127)), (5, 'a' || char(0) || 'b'), (6, 'ünï 日本 ' || char(128512)), (7, char(8232, 8233, 65279));

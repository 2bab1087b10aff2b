CREATE TABLE a(id INTEGER PRIMARY KEY, v);
CREATE TABLE b(id INTEGER PRIMARY KEY, v);
INSERT INTO a VALUES (1, 'same'), (2, 'a2'), (3, 'a3');
INSERT INTO b VALUES (1, 'same'), (2, 'b2'), (4, 'b4');

INSERT INTO "Weird-Täble x.$1" VALUES (1, 'v', 'w');
INSERT INTO "😀" VALUES (1);

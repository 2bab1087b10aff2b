CREATE TABLE "Weird-Täble x.$1"(id INTEGER PRIMARY KEY, "col-1 é", "a""b\c");
CREATE TABLE "😀"(x);

UPDATE f SET s = 'z' WHERE id = 1;
DELETE FROM f WHERE id = 2;

-- Where no table is AUTOINCREMENT any more VACUUM does not copy sqlite_sequence.
VACUUM;
UPDATE t SET b = 'changed' WHERE a = 50;

"""tests/helpers/loop_sql.c, in Python: LIBRARY DATABASE SQL COUNT PAUSE_US."""

import os
import struct
import sys
import time


def connect(library, path):
    if library == "apsw":
        import apsw
        db = apsw.Connection(path)
        db.set_busy_timeout(20000)
        return db, apsw.Error, lambda: db.in_transaction
    import sqlite3
    db = sqlite3.connect(path, isolation_level=None, timeout=20)
    return db, sqlite3.Error, lambda: db.in_transaction


def main():
    library, path, sql, counted, pause_us = sys.argv[1:]
    with open(sql) as source:
        transactions = [line.split(";") for line in source]
    db, problems, in_transaction = connect(library, path)
    target = os.open(counted, os.O_WRONLY | os.O_CREAT, 0o600)
    count = 0
    while True:
        for statements in transactions:
            try:
                for statement in statements:
                    db.cursor().execute(statement)
                count += 1
                os.pwrite(target, struct.pack("=Q", count), 0)
            except problems:
                if in_transaction():
                    db.cursor().execute("ROLLBACK")
            time.sleep(int(pause_us) / 1e6)


if __name__ == "__main__":
    main()

"""A process that writes databases: the application in these tests.

Started by harness/writers.py with the library to use ("std": Python's sqlite3
module, "apsw": the apsw package with a SQLite of its own, built without
SECURE_DELETE). Takes pickled messages on stdin, answers on stdout. Two SQLite
libraries never share a process: POSIX locks would not keep them apart.
"""

import ctypes
import os
import pickle
import struct
import sys
import time
import zlib


def reversed_order(a, b):
    return (a < b) - (a > b)


def crc_text(value):
    return zlib.crc32(str(value).encode("utf-8", "replace"))


class Std:
    """Connections of the standard library's sqlite3 module."""

    def __init__(self):
        import sqlite3
        self.module = sqlite3
        self.Error = sqlite3.Error

    def open(self, path, uri, timeout, reserved):
        db = self.module.connect(path, isolation_level=None, timeout=timeout, uri=uri,
                                 cached_statements=50)
        db.create_collation("backwards", reversed_order)
        db.create_function("crc", 1, crc_text, deterministic=True)
        return db

    def in_transaction(self, db):
        return db.in_transaction

    def blob_write(self, db, table, column, rowid, offset, data):
        with db.blobopen(table, column, rowid) as blob:
            blob.seek(offset)
            blob.write(data)

    def close(self, db):
        db.close()


class Apsw:
    """Connections of apsw."""

    def __init__(self):
        import apsw
        self.module = apsw
        self.Error = apsw.Error

    def open(self, path, uri, timeout, reserved):
        flags = (self.module.SQLITE_OPEN_READWRITE | self.module.SQLITE_OPEN_CREATE
                 | (self.module.SQLITE_OPEN_URI if uri else 0))
        db = self.module.Connection(path, flags=flags)
        db.set_busy_timeout(int(timeout * 1000))
        db.create_collation("backwards", reversed_order)
        db.create_scalar_function("crc", crc_text, 1, deterministic=True)
        if reserved is not None:
            number = ctypes.c_int(reserved)
            db.file_control("main", self.module.SQLITE_FCNTL_RESERVE_BYTES,
                            ctypes.addressof(number))
        return db

    def in_transaction(self, db):
        return db.in_transaction

    def blob_write(self, db, table, column, rowid, offset, data):
        with db.blob_open("main", table, column, rowid, True) as blob:
            blob.seek(offset)
            blob.write(data)

    def close(self, db):
        db.close()


class Server:
    """Executes messages until stdin ends."""

    def __init__(self, library):
        self.library = {"std": Std, "apsw": Apsw}[library]()
        self.connections = {}
        self.cursors = {}

    def open(self, name, path, uri=False, timeout=20.0, reserved=None, pragmas=()):
        self.close(name)
        db = self.library.open(path, uri, timeout, reserved)
        self.connections[name] = db
        for pragma in pragmas:
            db.execute(pragma).fetchall()

    def close(self, name):
        db = self.connections.pop(name, None)
        if db is not None:
            self.library.close(db)

    def touch(self, path):
        """Opens and closes a file: closing it cancels this process's locks on it."""
        with open(path, "rb"):
            pass

    def close_all(self):
        for name in list(self.connections):
            self.close(name)

    def run(self, name, steps, finish):
        """Runs steps; a failing statement is noted and the next one goes on, with
        finish="strict" it ends the transaction. Returns one text (an error) or list
        (rows) a step."""
        db = self.connections[name]
        results = []
        for kind, *rest in steps:
            try:
                if kind == "x":
                    results.append(db.execute(*rest).fetchall())
                elif kind == "many":
                    db.executemany(*rest)
                    results.append([])
                elif kind == "blob":
                    self.library.blob_write(db, *rest)
                    results.append([])
                elif kind == "sleep":
                    time.sleep(rest[0])
                    results.append([])
            except (self.library.Error, OverflowError, ValueError) as problem:
                results.append("%s: %s" % (type(problem).__name__, problem))
                if finish == "strict":
                    break
        if finish and self.library.in_transaction(db):
            try:
                db.execute("ROLLBACK").fetchall()
            except self.library.Error as problem:
                results.append("%s: %s" % (type(problem).__name__, problem))
        return results

    def in_transaction(self, name):
        return self.library.in_transaction(self.connections[name])


def main():
    server = Server(sys.argv[1])
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        head = source.read(4)
        if len(head) < 4:
            break
        call, args, kwargs = pickle.loads(source.read(struct.unpack("<I", head)[0]))
        try:
            answer = ("ok", getattr(server, call)(*args, **kwargs))
        except BaseException as problem:        # told to the caller, whatever it is
            answer = ("error", "%s: %s" % (type(problem).__name__, problem))
        data = pickle.dumps(answer)
        sink.write(struct.pack("<I", len(data)) + data)
        sink.flush()
    server.close_all()


if __name__ == "__main__":
    main()

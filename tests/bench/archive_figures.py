# SPDX-License-Identifier: Apache-2.0
"""The measurements of what is read from an archive of the large database."""

import os
import random
import shutil
import sqlite3
import struct
import subprocess
import time

from processes import BenchError

INCREMENTS = 500
QUERIES = 15


class ArchiveFigures:
    """Made with the other figures (`base`)."""

    def __init__(self, base):
        self.base = base
        self.folder = base.folder / "archive"
        self.rows = 0

    def sql(self):
        """One row by its key, and what the program reads for it."""
        if not self.rows:
            self._make()
        runs = sorted(self._query(random.randrange(1, self.rows)) for _ in range(QUERIES))
        return {"s": runs[QUERIES // 2][0], "bytes": max(run[1] for run in runs)}

    # -- the archive ----------------------------------------------------------------

    def _make(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "ltx" / "9").mkdir(parents=True)
        (self.folder / "ltx" / "0").mkdir()
        path = self.folder / "app.db"
        shutil.copyfile(self.base.large, path)
        db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "wal_autocheckpoint=0", "synchronous=OFF"):
            db.execute("PRAGMA " + pragma)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page_size = db.execute("PRAGMA page_size").fetchone()[0]
        self.rows = db.execute("SELECT max(id) FROM t").fetchone()[0]
        self._write(path, 9, 1, page_size)
        for txid in range(2, INCREMENTS + 2):
            db.execute("BEGIN")
            for _ in range(3):
                db.execute("UPDATE t SET qty = random() WHERE id = ?",
                           (random.randrange(1, self.rows),))
            db.execute("COMMIT")
            pages = self._pages_of_wal(f"{path}-wal", page_size)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._write(path, 0, txid, page_size, sorted(pages))
        db.close()
        path.unlink()

    def _write(self, path, level, txid, page_size, pages=()):
        out = self.folder / "ltx" / str(level) / f"{txid:016x}-{txid:016x}.ltx"
        self.base.tools.run("ltx_write", path, out, page_size, txid, txid, *pages)

    @staticmethod
    def _pages_of_wal(path, page_size):
        with open(path, "rb") as file:
            content = file.read()
        return {struct.unpack_from(">I", content, at)[0]
                for at in range(32, len(content), page_size + 24)}

    # -- one query --------------------------------------------------------------------

    def _query(self, rowid):
        """(seconds, bytes that were read by whatever call)"""
        began = time.monotonic()
        process = subprocess.Popen(
            [str(self.base.rowtail), "sql", str(self.folder), "--at", "latest",
             f"SELECT * FROM t WHERE id = {rowid}"],
            stdout=subprocess.PIPE)
        line = process.stdout.readline()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        took_s = time.monotonic() - began
        with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
            read = int(file.readline().split()[1])
        if process.wait() != 0 or not line.startswith(b"{"):
            raise BenchError(f"rowtail sql failed, exit {process.returncode}")
        return took_s, read

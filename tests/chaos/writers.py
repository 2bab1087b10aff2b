"""The applications of a storm: transactions as SQL, and programs in several languages
that run them again and again, until they are killed.
"""

import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time

from chaos.ledger import ACCOUNTS
from harness.writers import has_apsw

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
GO_PROGRAM = os.path.join(ROOT, "build", "chaos-loop-sql-go")
KINDS = ("c", "python", "apsw", "shell", "go")

SETUP = ["CREATE TABLE counter(w TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID",
         "CREATE TABLE move(w TEXT PRIMARY KEY, a, b, k)",
         "CREATE TABLE stock(id INTEGER PRIMARY KEY, amount INTEGER, note TEXT)",
         "CREATE INDEX stock_note ON stock(note)",
         "CREATE TABLE bag(a, b TEXT)",
         "CREATE TABLE big(id INTEGER PRIMARY KEY, body BLOB)",
         "INSERT INTO stock WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
         " WHERE i < %d) SELECT i, 1000, 'begun ' || hex(zeroblob(40)) FROM n" % ACCOUNTS,
         "INSERT INTO big SELECT id, randomblob(6000) FROM stock WHERE id <= 8"]

SPREAD = ("UPDATE stock SET note = substr(note, -90) || 'x' WHERE id % 7 = abs(random()) % 7")
DROP_SOME = "DELETE FROM bag WHERE rowid %% 8 = %d OR (SELECT count(*) FROM bag) > 60"


def transaction(rng, name):
    """One line of SQL: an amount goes from one row to another, and more."""
    a, b = rng.randrange(1, ACCOUNTS + 1), rng.randrange(1, ACCOUNTS + 1)
    k = rng.randrange(1, 100)
    parts = ["BEGIN IMMEDIATE", "INSERT INTO counter VALUES ('%s', 1) ON CONFLICT(w) DO"
             " UPDATE SET n = n + 1" % name,
             "UPDATE stock SET amount = amount - %d WHERE id = %d" % (k, a),
             "UPDATE stock SET amount = amount + %d, note = '%s %d' WHERE id = %d" % (
                 k, name, rng.randrange(10 ** 9), b)]
    draw = rng.random()
    if draw < 0.15:
        parts.append("INSERT INTO bag VALUES (%d, '%s')" % (k, "b" * rng.randrange(200)))
    elif draw < 0.25:
        parts.append(DROP_SOME % rng.randrange(8))
    elif draw < 0.32:
        parts.append("UPDATE big SET body = randomblob(%d) WHERE id = %d" % (
            rng.choice([10, 5000, 9000]), rng.randrange(1, 9)))
    elif draw < 0.36:
        parts.append(SPREAD)
    elif draw < 0.40:
        parts += ["SAVEPOINT s", "DELETE FROM stock WHERE id > 20", "ROLLBACK TO s"]
    elif draw < 0.45:
        parts.append("INSERT OR REPLACE INTO move VALUES ('%s', random(), %d, NULL)" % (
            rng.choice("abcdef"), k))
    elif draw < 0.48:       # of which the writers' cache cannot hold all
        parts += ["CREATE TEMP TABLE IF NOT EXISTS old AS SELECT 1",
                  "UPDATE stock SET note = note || hex(randomblob(30))"]
    return "; ".join(parts + ["COMMIT"])


def missing(kind):
    """Why writers of this kind cannot run here; None: they can."""
    if kind == "apsw":
        return has_apsw()
    if kind == "shell":
        return None if shutil.which("sqlite3") else "sqlite3 is not installed"
    if kind == "go" and not os.path.exists(GO_PROGRAM):
        return "not built: make chaos-go"
    return None


class Writer:
    """One program, killed and started again; `acknowledged` are its commits so far."""

    def __init__(self, box, path, kind, seed, pause_us):
        self.box, self.path, self.kind = box, path, kind
        self.name = "%s%d" % (kind, seed)
        self.pause_us = pause_us
        self.acknowledged = 0
        self.kills = 0
        self.process = None
        rng = random.Random(seed)
        self.sql = box.path(self.name + ".sql")
        with open(self.sql, "w") as out:
            for _ in range(60):
                out.write(transaction(rng, self.name) + "\n")

    def command(self):
        tail = [self.path, self.sql, self.sql + ".count", str(self.pause_us)]
        if self.kind == "c":
            return [os.path.join(self.box.options.helpers, "loop_sql")] + tail
        if self.kind == "go":
            return [GO_PROGRAM] + tail
        if self.kind == "shell":
            return ["sqlite3", "-batch", self.path]
        library = "apsw" if self.kind == "apsw" else "std"
        return [sys.executable, os.path.join(HERE, "loop_sql.py"), library] + tail

    def start(self):
        if os.path.exists(self.sql + ".count"):
            os.unlink(self.sql + ".count")
        is_shell = self.kind == "shell"
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.PIPE if is_shell else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if is_shell:
            threading.Thread(target=self._feed, args=(self.process,), daemon=True).start()

    def _feed(self, process):
        with open(self.sql, "rb") as source:
            text = [line.rstrip() + b";\n" for line in source]
        try:
            process.stdin.write(b".timeout 20000\n")
            while True:
                for line in text:
                    process.stdin.write(line)
                    process.stdin.flush()
                    time.sleep(self.pause_us / 1e6)
        except (BrokenPipeError, ValueError, OSError):
            pass

    def kill(self):
        """kill -9, wherever it is."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None
        self.kills += 1
        if os.path.exists(self.sql + ".count"):
            with open(self.sql + ".count", "rb") as source:
                data = source.read(8)
            self.acknowledged += struct.unpack("=Q", data)[0] if len(data) == 8 else 0

    def close(self):
        self.kill()

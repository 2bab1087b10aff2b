"""The application of these tests: transactions of all sizes, each with its number and
with sums of all tables in it (consumer.py), checkpoints, VACUUM.
"""

import random

from faults.consumer import SUM_NAMES, SUMS

SETUP = ["CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b)", "CREATE INDEX ta ON t(a)",
         "CREATE TABLE bare(a, b TEXT)",
         "CREATE TABLE tree(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
         "CREATE TABLE log(n INTEGER PRIMARY KEY, %s)" % ", ".join(SUM_NAMES)]


def series(first, last):
    return ("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE"
            " i < %d)" % (first, last))


class Application:
    """One connection that stays open, and what it does."""

    def __init__(self, box, seed, page_size=1024):
        self.random = random.Random(seed)
        self.number = 0
        self.writer, self.path = box.database("PRAGMA page_size=%d" % page_size, *SETUP)
        self.commit(["INSERT INTO t %s SELECT i, 'row ' || i, i FROM n" % series(1, 300)])
        self.commit(["INSERT INTO tree %s SELECT 'k' || i, i FROM n" % series(1, 60)])

    def leave(self):
        self.writer.close_connection("c")

    def come_back(self):
        self.writer.open("c", self.path)

    def commit(self, statements):
        self.number += 1
        self.writer.sql("c", "BEGIN", *statements, "INSERT INTO log VALUES (%d, %s)" % (
            self.number, SUMS), "COMMIT")

    def step(self):
        """One commit."""
        draw = self.random.random
        key = self.random.randrange(1, 1500)
        kind = draw()
        if self.number % 40 == 10:          # large, and shrinks the file some day
            self.commit(["DELETE FROM t WHERE id > 2000",
                         "INSERT INTO t %s SELECT i, 'one of many ' || i, NULL FROM n"
                         % series(2001, 2001 + self.random.randrange(3000))])
        elif self.number % 60 == 40:
            self.commit(["DELETE FROM t WHERE id > 2000"])
            self.writer.sql("c", "VACUUM")
        elif kind < 0.2:
            self.commit(["DELETE FROM t WHERE id BETWEEN %d AND %d" % (key, key + 3)])
        elif kind < 0.4:
            self.commit(["UPDATE t SET a = a || '+' WHERE id %% 13 = %d AND id < 2000"
                         % (key % 13), "UPDATE tree SET v = v + 1 WHERE k > 'k%d'" % key])
        elif kind < 0.5:
            self.commit(["INSERT INTO bare VALUES (%d, '%s')" % (key, "x" * (key * 3)),
                         "DELETE FROM bare WHERE a %% 5 = %d" % (key % 5)])
        else:
            self.commit(["INSERT OR REPLACE INTO t VALUES (%d, 'new %d', %d)" % (
                key, self.number, key)])

    def large(self):
        """One transaction of some MiB."""
        self.commit(["DELETE FROM t WHERE id > 2000", "INSERT INTO t %s SELECT i,"
                     " printf('%%900d', i), NULL FROM n" % series(10001, 17000)])

    def steps(self, count):
        for _ in range(count):
            self.step()

    def begin_wal_again(self):
        """What stands in the WAL is gone when somebody looks later."""
        self.writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
        self.steps(1)

    def change_page_size(self):
        size = 1024 if self.writer.sql("c", "PRAGMA page_size") == [(4096,)] else 4096
        self.writer.sql("c", "PRAGMA journal_mode=DELETE", "PRAGMA page_size=%d" % size,
                        "VACUUM", "PRAGMA journal_mode=WAL")
        self.steps(1)

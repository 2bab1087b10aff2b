#!/usr/bin/env python3
"""A stand-in for rowtail --state that compares whole states: slow, and right.

It exists to show that the suite accepts right lines and finds wrong ones: FAKE_FAULT
names an error that it plants now and then (see FAULTS). Its directory holds one file:
what it has read, what it still has to print, and what it has printed.
"""

import argparse
import collections
import fcntl
import os
import pickle
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness import expect  # noqa: E402
from harness.state import State, StateReader, TableState, exact  # noqa: E402
from oracle.fake_rowtail import Fake  # noqa: E402
from oracle.oracle import reader_setup  # noqa: E402
from state.history import without_key  # noqa: E402

FAULTS = ["drop", "lose", "repeat", "wrong-before", "renumber", "lose-catch-up",
          "no-header", "header-always", "gap", "skip-after-kill", "forget-while-away"]


class Remembering(Fake):
    """Prints from a queue that is on disk before the first line of it goes out."""

    def __init__(self, options, fault):
        super().__init__(options, fault)
        self.place = os.path.join(options.state, "meta")
        self.queue = []             # lines, each with a line end
        self.printed = 0            # of these
        self.state = None
        self.catching_up = False
        self.is_new = not os.path.exists(self.place)
        if not self.is_new:
            with open(self.place, "rb") as source:
                (self.state, self.lsn, self.previous, self.change_id, self.queue,
                 self.printed) = pickle.load(source)

    def planted(self, name):
        return self.fault == name and self.rng.random() < 0.08

    def save(self):
        with open(self.place + ".new", "wb") as out:
            pickle.dump((self.state, self.lsn, self.previous, self.change_id,
                         self.queue, self.printed), out)
        os.rename(self.place + ".new", self.place)

    def put(self, topic, key, value, headers):
        if self.catching_up and (value is None or value.get("op", "r") != "r"):
            if not self.planted("no-header"):
                headers = dict(headers, **{"rowtail.catch_up": True})
        if self.planted("header-always"):
            headers = dict(headers, **{"rowtail.catch_up": True})
        if self.planted("lose"):
            return
        super().put(topic, key, value, headers)

    def flush(self):
        """Called at the end of each transaction: queue, save, print."""
        self.queue += [t.encode() + b"\n" for t in self.lines]
        self.lines = []

    def follow(self, new, catching_up, vacuum):
        self.catching_up = catching_up
        if self.state is None:
            if "no_data" not in self.properties.get("snapshot.mode", ""):
                self.emit(expect.snapshot(new))
        elif not (catching_up and self.planted("lose-catch-up")):
            old = self.state
            if catching_up:
                old, new_rows = without_equal_rows(old, new)
            else:
                new_rows = new
            self.emit(expect.step(old, new_rows, vacuum=vacuum)[0])
        self.state = new
        self.save()
        self.print_queue()

    def print_queue(self):
        if self.printed and self.planted("repeat"):
            self.printed -= 1
        while self.printed < len(self.queue) and not stop:
            chunk = self.queue[self.printed:self.printed + 20]
            write_all(b"".join(chunk))
            self.printed += len(chunk)
            if self.printed >= len(self.queue) and len(self.queue) > 30:
                self.queue, self.printed = self.queue[-5:], 5
            self.save()


def without_equal_rows(old, new):
    """Both states; of tables without a key only the rows that have no equal."""
    mine, theirs = dict(old.tables), dict(new.tables)
    for name, table in new.tables.items():
        was = old.tables.get(name)
        if was is None or was.schema.plan != table.schema.plan or (
                not without_key(was, table)):
            continue
        count = collections.Counter(exact(r[1:]) for r in was.rows)
        count.subtract(exact(r[1:]) for r in table.rows)
        mine[name] = left_over(was, count, 1)
        theirs[name] = left_over(table, count, -1)
    return State(mine, old.cookie), State(theirs, new.cookie)


def left_over(table, count, sign):
    rows, left = [], {k: v * sign for k, v in count.items()}
    for row in table.rows:
        if left[exact(row[1:])] > 0:
            left[exact(row[1:])] -= 1
            rows.append(row)
    return TableState(table.schema, rows, exact(rows))


def number(path):
    """Resume_oracle.py counts its commits, and waits until each is seen."""
    try:
        with open(path) as source:
            return int(source.read() or 0)
    except FileNotFoundError:
        return 0


def write_all(data):
    while data:
        data = data[os.write(1, data):]


stop = []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("database")
    parser.add_argument("-D", action="append", default=[])
    parser.add_argument("--lines", default="value")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--snapshot", action="store_true")
    parser.add_argument("--state")
    options = parser.parse_args()
    if not options.state:
        sys.exit("fake: only with --state")
    os.makedirs(options.state, 0o700, exist_ok=True)
    lock = open(os.path.join(options.state, "lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("fake: %s is in use" % options.state, file=sys.stderr)
        sys.exit(2)
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    fake = Remembering(options, os.environ.get("FAKE_FAULT", ""))
    fake.rng.seed(os.getpid())
    reader = StateReader(options.database, lambda db: (
        reader_setup(db), db.execute("PRAGMA writable_schema = ON")))
    reader.open()
    version = reader.db.execute("PRAGMA data_version").fetchone()
    new = reader.read()
    print("rowtail: following %s" % options.database, file=sys.stderr, flush=True)
    if fake.fault == "renumber" and fake.planted("renumber"):
        fake.change_id += 1
    if fake.fault == "forget-while-away" and fake.planted("forget-while-away"):
        fake.state = new
    if fake.fault == "skip-after-kill" and fake.printed < len(fake.queue):
        fake.printed = len(fake.queue)
    fake.print_queue()
    fake.follow(new, True, False)
    while not stop and not options.once:
        asked = number(options.database + ".asked")
        now = reader.db.execute("PRAGMA data_version").fetchone()
        if now != version:
            version = now
            new = reader.read()
            fake.follow(new, False, os.path.exists(options.database + ".vacuum"))
        if asked != number(options.database + ".seen"):
            with open(options.database + ".seen", "w") as out:
                out.write(str(asked))
        time.sleep(0.0003)
    reader.close()


if __name__ == "__main__":
    main()

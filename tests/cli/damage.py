"""Damage in the database file: what nobody needs stops nothing and is named once, what is
needed ends the run with one line that says where and what to do."""

import os
import re
import signal
import sqlite3
import time

from harness.box import expect

PAGE = 1024

SETUP = """
PRAGMA page_size=1024;
CREATE TABLE keep(id INTEGER PRIMARY KEY, v TEXT, big BLOB);
CREATE INDEX keep_v ON keep(v);
CREATE TABLE quiet(id INTEGER PRIMARY KEY, v TEXT);
CREATE INDEX quiet_v ON quiet(v);
CREATE TABLE skip(id INTEGER PRIMARY KEY, v TEXT, big BLOB);
CREATE TABLE gone(v);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
    INSERT INTO keep SELECT i, 'row ' || i, zeroblob(i % 7 / 6 * 3000) FROM n;
INSERT INTO quiet SELECT id, v FROM keep;
INSERT INTO skip SELECT id, v, zeroblob(3000) FROM keep;
INSERT INTO gone SELECT zeroblob(900) FROM keep;
"""


def make(path, auto_vacuum):
    """The database, and the numbers of some of its pages."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size=%d" % PAGE)
    db.execute("PRAGMA auto_vacuum=%d" % auto_vacuum)
    db.executescript(SETUP)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("DROP TABLE gone")       # leaves a freelist
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    roots = dict(db.execute("SELECT name, rootpage FROM sqlite_schema"))
    db.close()
    with open(path, "rb") as file:
        header = file.read(100)
    leaf = leftmost_leaf(path, roots["skip"])
    return {
        "index root": roots["quiet_v"],
        "index leaf": leftmost_leaf(path, roots["quiet_v"]),
        "skip root": roots["skip"],
        "skip leaf": leaf,
        "skip overflow": first_overflow(path, leaf),
        "keep root": roots["keep"],
        "keep leaf": rightmost_leaf(path, roots["keep"]),
        "freelist": int.from_bytes(header[32:36], "big"),
        "pointer map": 2,
    }


def read_page(path, number):
    with open(path, "rb") as file:
        file.seek((number - 1) * PAGE)
        return file.read(PAGE)


def leftmost_leaf(path, number):
    while True:
        page = read_page(path, number)
        if page[0] in (10, 13):
            return number
        cell = int.from_bytes(page[12:14], "big")
        number = int.from_bytes(page[cell:cell + 4], "big")


def rightmost_leaf(path, number):
    while True:
        page = read_page(path, number)
        if page[0] in (10, 13):
            return number
        number = int.from_bytes(page[8:12], "big")


def first_overflow(path, leaf):
    """Of the cell that ends with the page: its last four bytes."""
    return int.from_bytes(read_page(path, leaf)[-4:], "big")


def spoil(path, number, how):
    """As a disk does it: nobody wrote, so the file's times stay."""
    stat = os.stat(path)
    with open(path, "r+b") as file:
        file.seek((number - 1) * PAGE)
        file.write({"zeros": b"\0", "nonsense": b"\xee"}[how] * PAGE)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def is_stopped(pid, task):
    with open("/proc/%d/task/%s/stat" % (pid, task), encoding="utf-8") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


def spoil_beside(tail, path, number, how):
    """The same while rowtail follows, which does not see the times change."""
    os.kill(tail.pid, signal.SIGSTOP)
    while not all(is_stopped(tail.pid, t) for t in os.listdir("/proc/%d/task" % tail.pid)):
        time.sleep(0.001)
    spoil(path, number, how)
    os.kill(tail.pid, signal.SIGCONT)


# Without a page more or less, so that nobody asks for the freelist.
IN_PLACE = [
    ("UPDATE keep SET big = randomblob(3000) WHERE id = 6", ["u"]),
    ("UPDATE keep SET v = 'ROW ' || id WHERE id BETWEEN 200 AND 203", ["u"] * 4),
    ("UPDATE keep SET v = v WHERE id = 7", []),
]
WORK = IN_PLACE + [
    ("INSERT INTO keep(id, big) VALUES (1000, zeroblob(5000))", ["c"]),
    ("DELETE FROM keep WHERE id BETWEEN 100 AND 140", ["d"] * 41),
    ("UPDATE keep SET big = x'01' WHERE id % 50 = 0 AND id < 400", ["u"] * 6),
    ("CREATE TABLE fresh(x); ", []),
    ("INSERT INTO fresh VALUES (1)", ["c"]),
    ("INSERT INTO keep(id) VALUES (1001)", ["c"]),
]


def follow(box, path, number, how, work, state, later):
    """The work's events come, and the program ends well; what it said of damage."""
    args = ["-D", "table.exclude.list=skip"] + (
        ["--state", path + "-state", "-D", "snapshot.mode=initial"] if state else [])
    if not later:
        spoil(path, number, how)
    tail = box.tail(path, *args)
    if state:
        expect(tail.wait_lines(800, 20), "%s", tail.error_text())   # keep and quiet
        tail.take(800)
    if later:
        spoil_beside(tail, path, number, how)
    db = sqlite3.connect(path, isolation_level=None)
    for sql, ops in work:
        db.execute(sql)
        expect(tail.wait_lines(len(ops), 20), "%s: %s", sql, tail.error_text())
        found = [re.search(rb'"op":"(.)"', line).group(1).decode()
                 for line in tail.take(len(ops))]
        expect(sorted(found) == ops, "%s: %s", sql, found)
    db.close()
    box.stop(tail)
    told = [e for e in tail.errors if " is damaged" in e]
    expect(all(path in e for e in told), "the database is not named: %s", told)
    return told


def every_way(box, part, work, words, auto_vacuum=0):
    """Zeros and nonsense, at start and later, with a state directory and without.
    `words` stand in the one line that is told of what is met for sure."""
    number = 0
    for how in ("zeros", "nonsense"):
        for state in (False, True):
            for later in (False, True):
                number += 1
                path = box.path("app%d.db" % number)
                page = make(path, auto_vacuum)[part]
                told = follow(box, path, page, how, work, state, later)
                where = "%s, state %s, later %s: %s" % (how, state, later, told)
                expect(len(told) <= 1, "%s", where)
                expect(all(w in told[0] for w in words) if told else
                       later or not words, "%s", where)


def test_a_damaged_root_of_an_unused_index_stops_nothing(box):
    every_way(box, "index root", WORK, ["index quiet_v", "REINDEX"])


def test_a_damaged_root_of_an_unused_index_stops_nothing_with_auto_vacuum(box):
    every_way(box, "index root", WORK, ["index quiet_v", "REINDEX"], auto_vacuum=2)


def test_a_damaged_leaf_of_an_unused_index_stops_nothing(box):
    every_way(box, "index leaf", WORK, [])


def test_a_damaged_root_of_a_table_that_is_left_out_stops_nothing(box):
    every_way(box, "skip root", WORK, ["table skip", "left out", "backup"])


def test_a_damaged_leaf_of_a_table_that_is_left_out_stops_nothing(box):
    every_way(box, "skip leaf", WORK, [])


def test_a_damaged_overflow_page_of_a_table_that_is_left_out_stops_nothing(box):
    every_way(box, "skip overflow", WORK, [])


def test_a_damaged_freelist_page_stops_nothing(box):
    every_way(box, "freelist", IN_PLACE, ["free pages", "VACUUM"])


def test_a_damaged_freelist_page_stops_nothing_with_auto_vacuum(box):
    every_way(box, "freelist", IN_PLACE, [], auto_vacuum=2)


def test_a_damaged_pointer_map_page_stops_nothing(box):
    every_way(box, "pointer map", IN_PLACE, ["pointer map", "VACUUM"], auto_vacuum=2)


def ends(box, tail_or_result, *words):
    """One line that names the database and says what to do."""
    lines = [e for e in tail_or_result if " is corrupt" in e]
    expect(len(lines) == 1, "%s", lines)
    for word in words + ("app.db", "integrity_check", "restore a backup"):
        expect(word in lines[0], "%r is not in %s", word, lines[0])


def test_a_damaged_page_of_a_table_met_in_the_snapshot_ends_the_run(box):
    pages = make(box.path(), 0)
    spoil(box.path(), pages["keep leaf"], "nonsense")
    result = box.run(box.path(), "--snapshot", "--once")
    expect(result.code == 1, "%s", result)
    ends(box, result.error_lines, "table keep", "page %d" % pages["keep leaf"])


def test_a_damaged_root_of_a_table_is_refused_at_start(box):
    pages = make(box.path(), 0)
    spoil(box.path(), pages["keep root"], "nonsense")
    result = box.run(box.path())
    expect(result.code == 3, "%s", result)
    ends(box, result.error_lines, "table keep", "page %d" % pages["keep root"])


def test_a_damaged_page_of_a_table_met_while_following_ends_the_run(box):
    """Which row's is the overflow page that changed? All leaves are asked."""
    pages = make(box.path(), 0)
    db = sqlite3.connect(box.path(), isolation_level=None)
    tail = box.tail(box.path())
    spoil_beside(tail, box.path(), pages["keep leaf"], "nonsense")
    db.execute("UPDATE keep SET big = randomblob(3000) WHERE id = 6")
    expect(tail.wait_exit(20) == 1, "%s", tail.error_text())
    ends(box, tail.errors, "table keep", "page %d" % pages["keep leaf"])
    db.close()

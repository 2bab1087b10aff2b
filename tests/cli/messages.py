"""Lines on stderr: their times, their form, and that what repeats is limited."""

import json
import os
import pty
import re
import subprocess

from harness.box import expect

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z rowtail: \S")
# A warning at the start, and an end by itself.
WARNED = ("-D", "database.hostname=db.example.org", "--snapshot", "--once")


def lines_of(box, *args, **how):
    return box.run(*args, **how).err.decode("utf-8").splitlines()


def test_lines_have_a_time_but_for_the_one_that_programs_wait_for(box):
    _, path = box.database(TABLE)
    lines = lines_of(box, path, *WARNED)
    following = [line for line in lines if line.startswith("rowtail: following ")]
    timed = [line for line in lines if TIMED.match(line)]
    expect(len(following) == 1 and timed and len(timed) + 1 == len(lines), "%s", lines)
    expect("database.hostname" in timed[0], "%s", timed)
    lines = lines_of(box, path, "-D", "no.such.property=1")
    expect(len(lines) == 1 and TIMED.match(lines[0]), "an error at the start: %s", lines)


def test_what_a_command_answers_has_no_time(box):
    _, path = box.database(TABLE)
    for command in (("status", path), ("diff", path, path + "-none"), ("restore", path)):
        lines = lines_of(box, *command)
        expect(len(lines) == 1 and lines[0].startswith("rowtail: "), "%s", lines)


def test_a_terminal_gets_no_times(box):
    _, path = box.database(TABLE)
    leader, follower = pty.openpty()
    process = subprocess.Popen(box.command(path, *WARNED), stdout=subprocess.DEVNULL,
                               stderr=follower)
    os.close(follower)
    said = b""
    try:
        while True:
            said += os.read(leader, 4096)
    except OSError:                         # its other end is closed
        pass
    process.wait(15)
    os.close(leader)
    expect(b"rowtail: following" in said and b"database.hostname" in said
           and b"Z rowtail: " not in said, "%r", said)


def test_the_journal_gets_no_times(box):
    _, path = box.database(TABLE)
    with open(box.path("journal"), "w+", encoding="utf-8") as file:
        st = os.fstat(file.fileno())
        for inode, has_times in ((st.st_ino, False), (st.st_ino + 1, True)):
            file.seek(0)
            file.truncate()
            told = {**os.environ, "JOURNAL_STREAM": "%d:%d" % (st.st_dev, inode)}
            subprocess.run(box.command(path, *WARNED), stdout=subprocess.DEVNULL,
                           stderr=file, env=told, check=True)
            file.seek(0)
            lines = file.read().splitlines()
            expect(len(lines) > 1 and any(map(TIMED.match, lines)) == has_times,
                   "times, of %s the journal: %s", "none but" if has_times else "", lines)


def test_every_line_is_json_whatever_is_wrong(box):
    _, path = box.database(TABLE)
    none = box.path("none.db")
    for args in (["--no-such-option", "--log-format=json"], ["--log-format", "json"],
                 ["--log-format=json", path, path], ["-Z", "--log-f=json"],
                 ["--lo", "json", path, "-D"], ["--log-format=json", path, "-D", "x"],
                 ["--log-format=json", path, "-D", "value.converter=x", "-D", "predicates=y"],
                 ["--log-format=json", path, "--state"], ["--log-format=json", none],
                 ["--log-format=json", path, "--config", none],
                 ["--log-format=json", path, *WARNED],
                 ["--log-format=json", path, "-D", "table.include.list=("],
                 ["status", none, "--log-format=json"],
                 ["diff", path, none, "--log-format=json"],
                 ["restore", none, none, "--log-format=json"],
                 ["audit", "verify", none, "--log-format=json"],
                 ["signal", "--state", none, "log", "x", "--log-format=json"],
                 ["--log-format=json", path, "--to", "kafka://127.0.0.1:1", "--once",
                  "-D", "producer.no.such=1"]):
        lines = lines_of(box, *args)
        expect(lines, "%s: nothing is said", args)
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                expect(False, "%s: no JSON: %s", args, line)
            expect(set(told) == {"ts", "level", "msg"} and told["msg"], "%s: %s", args, line)


def test_what_repeats_is_limited(box):
    writer, path = box.database(TABLE, "CREATE TABLE s(id TEXT PRIMARY KEY, type TEXT, data TEXT)")
    tail = box.tail(path, "-D", "signal.data.collection=s")
    for n in range(50):
        writer.sql("c", "INSERT INTO s VALUES ('%d', 'no signal', NULL)" % n)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    seen = 0
    while seen < 51 and tail.wait_lines(1):
        tail.take(1)
        seen += 1
    expect(seen == 51, "%d of 51 rows", seen)
    box.stop(tail)
    of_signals = [line for line in tail.errors if "no signal" in line]
    expect(len(of_signals) == 20 and "are left out for a minute" in of_signals[-1]
           and "left out" not in of_signals[-2], "%d lines: %s", len(of_signals),
           of_signals[-2:])


def test_each_table_that_comes_goes_or_is_left_out_has_its_line(box):
    """However many there are."""
    many = range(60)
    writer, path = box.database("CREATE TABLE t(a)")
    tail = box.tail(path, "-D", "table.exclude.list=x.*")
    writer.sql("c", "BEGIN", *["CREATE TABLE n%d(a)" % i for i in many],
               *["CREATE TABLE x%d(a)" % i for i in many], "COMMIT",
               "BEGIN", *["DROP TABLE n%d" % i for i in many], "COMMIT",
               "INSERT INTO t VALUES (1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)
    text = "\n".join(tail.errors)
    for i in many:
        for line in ("table n%d was created" % i, "table x%d is left out: " % i,
                     "table n%d was dropped;" % i):
            expect(text.count(line) == 1, "%s: %d times", line, text.count(line))

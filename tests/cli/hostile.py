"""Names, patterns and expressions of somebody who wants harm: nothing is shown that was
to be hidden, nothing steers a terminal, and the other tables go on."""

import itertools
import json
import os
import sqlite3

from harness.box import expect

# The pattern tries more ways on such a name than anybody waits.
PATTERN = r"(([a-z]+_?)+[0-9]|.*password)"
NAME = "a" * 60 + "_password"
SECRET = "hunter2"
numbers = itertools.count()


def shows_nothing(result):
    expect(SECRET.encode() not in result.out, "the secret is shown:\n%s", result)
    expect(result.code == 2, "exit %s, expected 2\n%s", result.code, result)
    error = result.error_lines[-1]
    for word in (PATTERN, NAME[:40], "cannot be decided"):
        expect(word in error, "the error does not say %r:\n%s", word, result)


def column_table(box, name=NAME):
    writer, path = box.database(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, "%s" TEXT)' % name,
        "INSERT INTO t VALUES (1, '%s')" % SECRET)
    return writer, path


def test_a_column_pattern_that_gives_up_ends_the_start(box):
    _, path = column_table(box)
    for key in ("column.exclude.list", "column.include.list",
                "column.mask.with.4.chars", "column.truncate.to.1.chars",
                "column.mask.hash.SHA-256.with.salt.s"):
        result = box.run(path, "--snapshot", "--once", "-D",
                         "%s=t\\.%s" % (key, PATTERN))
        shows_nothing(result)
        expect(key.split(".with.salt")[0].replace(".SHA-256", "") in
               result.error_lines[-1], "%s", result)
    shows_nothing(box.run(path, "--snapshot", "--once", "-D",
                          "message.key.columns=t:" + PATTERN))


def test_a_table_pattern_that_gives_up_ends_the_start(box):
    _, path = box.database('CREATE TABLE "%s"(a)' % NAME,
                           "INSERT INTO \"%s\" VALUES ('%s')" % (NAME, SECRET))
    for key in ("table.exclude.list", "table.include.list"):
        shows_nothing(box.run(path, "--snapshot", "--once", "-D",
                              "%s=%s" % (key, PATTERN)))


def followed(box, tail, writer):
    """Another table still gives events; the secret is in none."""
    done = "done %d" % next(numbers)
    writer.sql("c", "INSERT INTO good(b) VALUES ('%s')" % done)
    box.wait_until(lambda: any(done.encode() in line for line in tail.all_lines))
    expect(not any(SECRET.encode() in line for line in tail.all_lines),
           "the secret is shown")


def complaints(tail):
    return [e for e in tail.errors if "cannot be decided" in e]


def test_a_table_made_later_that_a_pattern_gives_up_on_is_left_out(box):
    for key, sql in (
            ("table.exclude.list=" + PATTERN, 'CREATE TABLE "%s"(b)' % NAME),
            ("column.exclude.list=.*\\." + PATTERN, 'CREATE TABLE bad("%s")' % NAME),
            ("column.mask.with.3.chars=.*\\." + PATTERN,
             'CREATE TABLE bad("%s")' % NAME),
            ("message.key.columns=.*:" + PATTERN, 'CREATE TABLE bad("%s")' % NAME)):
        name = key.split("=")[0]
        writer, path = box.database("CREATE TABLE good(id INTEGER PRIMARY KEY, b)",
                                    name=name + ".db")
        tail = box.tail(path, "-D", key)
        writer.sql("c", sql)
        table = NAME if NAME in sql.split("(")[0] else "bad"
        writer.sql("c", "INSERT INTO \"%s\" VALUES ('%s')" % (table, SECRET))
        followed(box, tail, writer)
        writer.sql("c", "CREATE TABLE more(a)", "UPDATE \"%s\" SET %s = '%s2'" % (
            table, "b" if table == NAME else NAME, SECRET))
        followed(box, tail, writer)
        lines = complaints(tail)
        expect(len(lines) == 1 and name in lines[0] and table[:40] in lines[0],
               "not told once: %s", tail.error_text())
        box.stop(tail)
        writer.close()


def test_a_column_added_later_that_a_pattern_gives_up_on_takes_its_table(box):
    writer, path = box.database("CREATE TABLE good(id INTEGER PRIMARY KEY, b)",
                                "CREATE TABLE bad(id INTEGER PRIMARY KEY, b)")
    tail = box.tail(path, "-D", "column.exclude.list=.*\\." + PATTERN)
    writer.sql("c", "INSERT INTO bad VALUES (1, 'before')")
    writer.sql("c", 'ALTER TABLE bad ADD COLUMN "%s"' % NAME)
    writer.sql("c", "UPDATE bad SET \"%s\" = '%s'" % (NAME, SECRET))
    followed(box, tail, writer)
    expect(len(complaints(tail)) == 1, "%s", tail.error_text())
    writer.sql("c", 'ALTER TABLE bad DROP COLUMN "%s"' % NAME)
    writer.sql("c", "INSERT INTO bad VALUES (2, 'again')")
    followed(box, tail, writer)
    tables = [json.loads(line)["source"]["table"] for line in tail.take_all()]
    expect(tables == ["bad", "good", "bad", "good"], "%s", tables)
    expect(any("bad is followed from now on" in e for e in tail.errors), "%s",
           tail.error_text())
    box.stop(tail)


def test_a_name_that_is_no_text_is_matched_as_it_is_shown(box):
    writer, path = column_table(box, "x_password")
    writer.sql("c", "PRAGMA writable_schema=ON",
               "UPDATE sqlite_schema SET sql = CAST(replace(CAST(sql AS BLOB),"
               " x'785f', x'ff0a') AS TEXT) WHERE name = 't'")
    writer.close()
    result = box.run(path, "--snapshot", "--once", "-D",
                     "column.exclude.list=t\\..*password")
    expect(result.code == 0 and SECRET.encode() not in result.out, "%s", result)
    event = json.loads(result.out)
    expect(event["after"] == {"id": 1}, "%s", event)


def declare(box, columns, rows):
    """A database whose table t has generated columns that its writer never computed, and
    a table "good"."""
    writer, path = box.database("CREATE TABLE t(a)",
                                "CREATE TABLE good(id INTEGER PRIMARY KEY, b)")
    for row in rows:
        writer.run("c", [("x", "INSERT INTO t VALUES (?)", (row,))], False)
    definition = "CREATE TABLE t(a, %s)" % ", ".join(columns)
    writer.run("c", [("x", "PRAGMA writable_schema=ON"),
                     ("x", "UPDATE sqlite_schema SET sql=? WHERE name='t'",
                      (definition,))], False)
    return writer, path


def rows_of(result):
    expect(result.code == 0, "%s", result)
    return [json.loads(line)["after"] for line in result.out.splitlines()]


def test_columns_that_would_take_for_ever_are_null(box):
    writer, path = declare(box, [
        "b AS (instr(zeroblob(6000000), zeroblob(3000000) || x'01'))",
        "c AS (upper(a))"], ["x", "y"])
    tail = box.tail(path, "--snapshot")
    expect(tail.wait_lines(2, 60), "no rows: %s", tail.error_text())
    rows = [json.loads(line)["after"] for line in tail.take_all()]
    expect(rows == [{"a": "x", "b": None, "c": "X"}, {"a": "y", "b": None, "c": "Y"}],
           "%s", rows)
    followed(box, tail, writer)
    told = [e for e in tail.errors if "generated column" in e]
    expect(len(told) == 1 and '"b"' in told[0], "%s", tail.error_text())
    box.stop(tail)


def test_two_thousand_huge_columns_take_no_memory(box):
    _, path = declare(box, ["c%d AS (hex(zeroblob(30000000)))" % i
                            for i in range(1990)], ["x"])
    result = box.run(path, "--snapshot", "--once", timeout=60)
    row = rows_of(result)[0]
    expect(row["a"] == "x" and row["c0"] is None and row["c1989"] is None, "%s", result)
    told = [e for e in result.error_lines if "generated column" in e]
    expect(1 <= len(told) <= 11, "%s", result)


def test_long_honest_values_are_computed(box):
    _, path = declare(box, ["b AS (upper(a))", "c AS (length(a))"], ["x" * 10000000])
    result = box.run(path, "--snapshot", "--once", timeout=60)
    row = rows_of(result)[0]
    expect(row["c"] == 10000000 and row["b"] == "X" * 10000000, "%s", result)
    expect(len(result.error_lines) == 1, "%s", result)


STEERING = "".join(map(chr, [0x1b, 0x0a, 0x0d, 0x07, 0x85, 0x9b, 0x200f, 0x2028, 0x2029,
                             0x202e, 0x2066, 0xfeff]))


def test_names_steer_no_terminal_and_no_log(box):
    for form in ("text", "json"):
        writer, path = box.database("CREATE TABLE good(id INTEGER PRIMARY KEY, b)",
                                    name=form + ".db")
        tail = box.tail(path, "--log-format=" + form, wait=False)
        box.wait_until(lambda: any("following" in e for e in tail.errors))
        name = 'evil%s"\\name' % STEERING
        quoted = '"%s"' % name.replace('"', '""')
        long_one = '"%s"' % ("\u00e4" * 30000)
        writer.sql("c", "CREATE TABLE %s(a)" % quoted, "DROP TABLE %s" % quoted,
                   "CREATE TABLE %s(a)" % long_one, "DROP TABLE %s" % long_one,
                   "CREATE VIRTUAL TABLE f USING fts5(a)")
        followed(box, tail, writer)
        box.stop(tail)
        text = "\n".join(tail.errors)
        expect("evil" in text and "\u00e4" * 20 in text, "%s", text[:1000])
        expect(not any(c in text for c in STEERING.replace("\n", "")), "%r",
               text[:1000])
        expect("\ufffd" not in text, "cut in a character: %r", text[:1000])
        for line in tail.errors:
            if form == "json" and line.startswith("{"):
                json.loads(line)
            else:
                expect(line.startswith("rowtail: "), "a forged line: %r", line)
        writer.close()


def closing(*descriptors):
    def change():
        for fd in descriptors:
            os.close(fd)
    return change


def test_closed_descriptors_are_never_the_database(box):
    """Whatever is closed: what rowtail says does not go into a file of the database."""
    for descriptors in ((0,), (1,), (2,), (0, 2), (0, 1), (1, 2), (0, 1, 2)):
        name = "".join(map(str, descriptors)) + ".db"
        writer, path = box.database("CREATE TABLE t(a)", "INSERT INTO t VALUES (1)",
                                    name=name)
        for command in ([path, "--snapshot", "--once"], ["--help"], ["--version"],
                        [path, "--once", "--snapshot", "--state", path + ".state"],
                        ["status", "--state", path + ".state"],
                        [path, "--once", "-D", "nonsense=1"]):
            result = box.run(*command, preexec=closing(*descriptors))
            if 1 in descriptors:
                expect(result.code in (1, 2), "%s %s: %s", descriptors, command, result)
                if 2 not in descriptors and "nonsense=1" not in command:
                    expect(b"standard output is closed" in result.err or
                           "status" in command, "%s %s: %s", descriptors, command,
                           result)
        writer.close()
        with open(path, "rb") as file:
            expect(file.read(16) == b"SQLite format 3\0", "the database was overwritten")
        db = sqlite3.connect(path)
        expect(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "damage")
        db.close()


def threads(tail):
    """Nice levels by the names of the program's threads."""
    folder = "/proc/%d/task" % tail.pid
    result = {}
    for task in os.listdir(folder):
        with open("%s/%s/stat" % (folder, task)) as file:
            name, rest = file.read().split("(", 1)[1].rsplit(") ", 1)
        result[name] = int(rest.split()[16])
    return result


def test_the_thread_that_holds_locks_is_not_nice(box):
    writer, path = box.database("CREATE TABLE good(id INTEGER PRIMARY KEY, b)")
    nice = min(os.nice(0) + 15, 19)     # the tests may be run with nice, too
    tail = box.tail(path, preexec=lambda: os.nice(15))
    followed(box, tail, writer)
    if any("nice level of %d" % nice in e for e in tail.errors):
        expect(threads(tail)["capture"] == nice, "told of in vain: %s", threads(tail))
    else:
        expect(threads(tail)["capture"] == 0, "%s", threads(tail))
    expect(max(threads(tail).values()) == nice, "the others are not: %s", threads(tail))
    box.stop(tail)

"""--to null: messages are counted and written nowhere."""

import os
import re
import signal

from harness.box import expect

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
ROWS = "INSERT INTO t VALUES (1, 'x'), (2, 'y')"


def refused(result, code, *words):
    expect(result.code == code and result.out == b"", "%s", result)
    expect(len(result.error_lines) == 1, "not one line: %s", result)
    for word in words:
        expect(word in result.error_lines[0], "it does not name %r: %s", word, result)


def counted(result):
    """Messages and bytes, as the last line has them."""
    expect(result.code == 0 and result.out == b"", "%s", result)
    found = re.fullmatch(r"rowtail: null: (\d+) messages, (\d+) bytes",
                         result.error_lines[-1])
    expect(found, "no count at the end: %s", result)
    return int(found.group(1)), int(found.group(2))


def test_null_counts_what_standard_output_would_have_had(box):
    _, path = box.database(TABLE, ROWS)
    lines = box.run(path, "--snapshot", "--once").out.splitlines()
    counts = counted(box.run(path, "--snapshot", "--once", "--to", "null:"))
    expect(len(lines) == 2 and counts == (2, sum(map(len, lines))),
           "counted %s, standard output had %s", counts, lines)


def test_null_counts_tombstones_and_keys_of_records_only(box):
    writer, path = box.database(TABLE, ROWS)
    state = box.path("state")
    counted(box.run(path, "--once", "--to", "null:", "--state", state))
    writer.sql("c", "DELETE FROM t")
    values = counted(box.run(path, "--once", "--to", "null:", "--state", state))
    writer.sql("c", ROWS)
    writer.sql("c", "DELETE FROM t")
    records = counted(box.run(path, "--once", "--to", "null:", "--state", state,
                              "--lines=record"))
    expect(values[0] == 2, "two deletes: %s", values)
    expect(records[0] == 6, "two inserts, two deletes, two tombstones: %s", records)


def test_null_takes_no_state_directory_by_itself(box):
    _, path = box.database(TABLE, ROWS)
    folder = os.path.dirname(path)
    counted(box.run(path, "--snapshot", "--once", "--to", "null:"))
    expect(not os.path.exists(path + "-rowtail"), "%s", os.listdir(folder))
    refused(box.run(path, "--once", "--to", "null:"), 2, "--state", "--snapshot")


def test_null_with_a_state_directory_goes_on_where_it_ended(box):
    writer, path = box.database(TABLE, ROWS)
    state = box.path("state")
    expect(counted(box.run(path, "--once", "--to", "null:", "--state", state))[0] == 2,
           "not the snapshot")
    writer.sql("c", "INSERT INTO t VALUES (3, 'z')")
    expect(counted(box.run(path, "--once", "--to", "null:", "--state", state))[0] == 1,
           "not what came since")
    expect(counted(box.run(path, "--once", "--to", "null:", "--state", state))
           == (0, 0), "something came twice")


def test_null_says_its_count_when_it_is_stopped(box):
    _, path = box.database(TABLE)
    tail = box.tail(path, "--to", "null:")
    tail.process.send_signal(signal.SIGTERM)
    code = tail.wait_exit(6)
    expect(code == 0, "exit %s: %s", code, tail.error_text())
    expect("null: 0 messages, 0 bytes" in tail.error_text(), "%s", tail.error_text())


def test_null_that_never_began_counts_nothing(box):
    refused(box.run(box.path("nosuch.db"), "--to", "null:"), 3, "no such file")


def test_null_takes_nothing_behind_it(box):
    refused(box.run(box.path(), "--to", "null:x"), 2, "--to null:x", "null: or none")


def test_quiet_leaves_the_count_out(box):
    _, path = box.database(TABLE, ROWS)
    result = box.run(path, "--snapshot", "--once", "--to", "null:", "--quiet")
    expect(result.code == 0 and b"messages" not in result.err, "%s", result)

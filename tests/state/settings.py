"""Other settings than in the last run: what is sent again, and what is said of it."""

import json
import os
import signal

from harness.box import expect
from state.consumer import payload
from state.starts import TABLE, begun, many

ROWS = 4000                         # more than a pipe takes


def stopped_in_the_snapshot(box, *args):
    """The arguments of the runs; some rows were read, not all."""
    writer, path = box.database(TABLE, many(1, ROWS))
    common = [path, "--state", box.path("state")]
    tail = box.tail(*common, *args, wait=False, take=False)
    got = 0
    while got < 65536:
        data = os.read(tail.process.stdout.fileno(), 4096)
        expect(data, "it ended:\n%s", tail.error_text())
        got += len(data)
    tail.process.send_signal(signal.SIGTERM)
    tail.start_taking()
    box.stop(tail)
    writer.close()
    return common


def ids(lines):
    """Of the rows that lines, of either form, tell of."""
    found = []
    for line in lines:
        value = payload(line)
        value = payload(value["value"]) if "topic" in value else value
        if value and value.get("op") == "r":
            found.append(value["after"].get("id"))
    return found


def parse(out):

    return [json.loads(line) for line in out.splitlines()]


def begins_again(box, before, after):
    """`before` is set in the first run, `after` in the second one."""
    common = stopped_in_the_snapshot(box, *before)
    result = box.run(*common, "--once", *after, timeout=40)
    expect(result.code == 0, "%s", result)
    got = ids(parse(result.out))
    expect(got == list(range(1, ROWS + 1)), "%d rows of %d came", len(got), ROWS)
    said = [e for e in result.error_lines if "the settings differ" in e]
    name = (before + after)[-1].split("=")[0].replace("value.converter.", "")
    expect(len(said) == 1 and name in said[0] and " -> " in said[0]
           and "sent again from its beginning" in said[0], "%s", result)


def test_schema_changes_in_the_first_run_only(box):
    begins_again(box, ["-D", "include.schema.changes=true"], [])


def test_schema_changes_in_the_second_run_only(box):
    begins_again(box, [], ["-D", "include.schema.changes=true"])


def test_lines_of_another_form(box):
    begins_again(box, [], ["--lines=record"])


def test_a_prefix_in_the_second_run_only(box):
    begins_again(box, [], ["-D", "topic.prefix=other"])


def test_schemas_under_connects_name(box):
    begins_again(box, [], ["-D", "value.converter.schemas.enable=true"])


def test_a_mask_in_the_second_run_only(box):
    begins_again(box, [], ["-D", "column.mask.with.3.chars=t.a"])


def test_headers_in_the_second_run_only(box):
    begins_again(box, [], ["-D", "extended.headers.enabled=true"])


def test_operations_skipped_in_the_first_run_only(box):
    begins_again(box, ["-D", "skipped.operations=c"], [])


def test_a_filter_in_the_first_run_only(box):
    begins_again(box, ["-D", "table.include.list=t"], [])


def test_a_snapshot_begun_on_stdout_is_whole_in_a_file(box):
    common = stopped_in_the_snapshot(box)
    out = box.path("out")
    result = box.run(*common, "--once", "--to", "file:" + out, timeout=40)
    expect(result.code == 0, "%s", result)
    with open(out, "rb") as file:
        got = ids(parse(file.read()))
    expect(got == list(range(1, ROWS + 1)), "%d rows of %d are in the file", len(got),
           ROWS)
    expect(any("--to stdout -> file" in e for e in result.error_lines), "%s", result)


def test_a_snapshot_with_the_same_settings_goes_on(box):
    """Written otherwise, they are the same."""
    common = stopped_in_the_snapshot(box, "-D", "topic.delimiter=.", "-D",
                                     "schemas.enable=true")
    result = box.run(*common, "--once", "-D", "value.converter.schemas.enable=TRUE",
                     "-D", "hold.escalate=false", timeout=40)
    got = ids(parse(result.out))
    expect(result.code == 0 and 0 < len(got) < ROWS and got[-1] == ROWS, "%d rows: %s",
           len(got), result.error_lines)
    expect(not any("the settings" in e for e in result.error_lines), "%s", result)


def test_a_directory_without_settings_begins_the_snapshot_again(box):
    """As those of version 0.1.0, whose hash is another one."""
    common = stopped_in_the_snapshot(box)
    os.remove(box.path("state/settings"))
    result = box.run(*common, "--once", "-D", "topic.prefix=other", timeout=40)
    got = ids(parse(result.out))
    expect(result.code == 0 and got == list(range(1, ROWS + 1)), "%d rows", len(got))
    expect(any("does not say which settings" in e and "sent again" in e
               for e in result.error_lines), "%s", result)


def test_settings_that_differ_are_shown_once_and_salts_never(box):
    writer, session = begun(box)
    mask = "column.mask.hash.SHA-256.with.salt."
    first = ["-D", mask + "pepper=t.a"]
    writer.sql("c", "INSERT INTO t VALUES (4, 'x')")
    session.once(*first)
    expect(any("the settings differ" in e and mask + "* not set -> t.a (salt #" in e
               for e in session.errors), "%s", session.errors)
    session.once(*first)
    expect(not any("the settings" in e for e in session.errors), "%s", session.errors)
    session.once("-D", mask + "cumin=t.a")
    said = [e for e in session.errors if "the settings differ" in e]
    expect(len(said) == 1 and said[0].count("(salt #") == 2, "%s", session.errors)
    for name in os.listdir(session.directory):
        with open(os.path.join(session.directory, name), "rb") as file:
            content = file.read()
        expect(b"pepper" not in content and b"cumin" not in content,
               "a salt is in %s", name)


def test_a_snapshot_that_was_taken_is_not_taken_again_silently(box):
    """But by `always`; and `rowtail signal` asks for another one."""
    writer, session = begun(box)
    for asked in (["--snapshot"], ["-D", "snapshot.mode=initial_only"]):
        events = session.once(*asked)
        expect(not events, "%s", events)
        said = [e for e in session.errors if asked[-1] in e]
        expect(len(said) == 1 and "first start only" in said[0] and
               "rowtail signal" in said[0], "%s", session.errors)
    session.once("-D", "snapshot.mode=initial")
    expect(len(session.errors) == 1, "%s", session.errors)
    events = session.once("-D", "snapshot.mode=always")
    expect([e.op for e in events] == ["r"] * 3, "%s", events)
    expect(not any("first start only" in e for e in session.errors), "%s",
           session.errors)

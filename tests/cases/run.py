#!/usr/bin/env python3
"""Behaviour cases: folders with a setup, a change, and the lines that must come.

    setup.sql       run before rowtail starts
    change.sql      run while it follows; every statement (or BEGIN … COMMIT) commits
    expected.jsonl  the lines, without what differs from run to run: ts_* are 0,
                    version is "V", the LSN is 1 for the first transaction, 2 …
    args            further arguments, one a line
    writer          the libraries to write with, one a line (default: std and apsw),
                    with options: "apsw reserved=32", "std psow=0"
    no-sentinel     wait for silence instead of a last transaction's event

Lines of SQL files that begin with "-- !" are for the runner: see Script.

    tests/cases/run.py [--rowtail PATH] [--write] [NAME...]

--write writes expected.jsonl from what the program prints (meant for the stand-in
tests/oracle/fake_rowtail.py, which works from the documents): read it before you keep it.
"""

import argparse
import json
import os
import re
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from harness import connect  # noqa: E402
from harness.box import Box, Failed, NotRun, Options, expect  # noqa: E402
from harness.events import Mismatch, JsonFloat, check_float_text, parse_line  # noqa: E402
from harness.tail import TailFailed  # noqa: E402
from harness.writers import WriterFailed, has_apsw  # noqa: E402

SENTINEL = "zz_end"
TIMES = {"ts_ms", "ts_us", "ts_ns"}


def case_names():
    return sorted(n for n in os.listdir(HERE)
                  if os.path.exists(os.path.join(HERE, n, "change.sql")))


def read(name, file, default=""):
    path = os.path.join(HERE, name, file)
    if not os.path.exists(path):
        return default
    with open(path, encoding="utf-8") as source:
        return source.read()


def variants(name):
    lines = [t.strip() for t in read(name, "writer", "std\napsw\n").splitlines()]
    return [t for t in lines if t and not t.startswith("#")]


def split_sql(text):
    """Statements and runner lines, in order."""
    pending = ""
    for line in text.split("\n"):
        if line.startswith("-- !") and not pending.strip():
            yield line[4:].strip()
            continue
        if line.strip().startswith("--") and not pending.strip():
            continue
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
    if pending.strip():
        raise ValueError("unfinished statement: %s" % pending)


class Script:
    """Executes a SQL file through a writer process. Runner lines:

    -- !connection NAME    go on with another connection (opened when new)
    -- !reopen             close the connection, open it again
    -- !close all          close all connections and open the current one again
    -- !kill               kill -9 the writer process, start another
    -- !blob TABLE COLUMN ROWID OFFSET HEX     incremental blob write
    -- !sleep SECONDS
    -- !error              the next statement must fail
    """

    def __init__(self, box, variant, path, pause=0.0):
        words = variant.split()
        self.box = box
        self.library = words[0]
        more = dict(w.split("=") for w in words[1:])
        self.reserved = int(more["reserved"]) if "reserved" in more else None
        self.path, self.uri = path, False
        if "psow" in more:
            self.path, self.uri = "file:%s?psow=%s" % (path, more["psow"]), True
        self.pause = pause
        self.writer = box.writer(self.library)
        self.name = "main"
        self.names = set()
        self.must_fail = False
        self.open()

    def open(self):
        self.writer.open(self.name, self.path, uri=self.uri, reserved=self.reserved)
        self.names.add(self.name)

    def run(self, text):
        for item in split_sql(text):
            word = item.split()[0]
            handler = getattr(self, "do_" + word, None) if word.islower() else None
            if handler:
                handler(*item.split()[1:])
            else:
                self.statement(item)
            if self.pause:
                time.sleep(self.pause)

    def statement(self, sql):
        hint = self.path + ".vacuum"    # the stand-in cannot tell a VACUUM by itself
        if self.pause and sql.upper().startswith("VACUUM"):
            open(hint, "w").close()
        result = self.writer.run(self.name, [("x", sql)], False)[0]
        if os.path.exists(hint):
            time.sleep(self.pause)
            os.unlink(hint)
        failed = isinstance(result, str)
        if failed != self.must_fail:
            raise Failed("%s: %s" % (sql, result))
        self.must_fail = False
        return result

    def do_connection(self, name):
        self.name = name
        if name not in self.names:
            self.open()

    def do_reopen(self):
        self.writer.close_connection(self.name)
        self.open()

    def do_close(self, _all):
        self.writer.call("close_all")
        self.names.clear()
        self.open()

    def do_kill(self):
        self.writer.kill()
        self.writer = self.box.writer(self.library)
        self.names.clear()
        self.open()

    def do_blob(self, table, column, rowid, offset, data):
        result = self.writer.run(self.name, [
            ("blob", table, column, int(rowid), int(offset), bytes.fromhex(data))],
            False)[0]
        expect(not isinstance(result, str), "blob write: %s", result)

    def do_sleep(self, seconds):
        time.sleep(float(seconds) * self.box.slow)

    def do_error(self):
        self.must_fail = True


def is_wrapped(message):
    """Whether it has its schema with it."""
    return isinstance(message, dict) and list(message) == ["schema", "payload"]


def content(parsed):
    """The value of a line of either kind, without its schema."""
    value = parsed["value"] if "topic" in parsed else parsed
    return value["payload"] if is_wrapped(value) else value


class Normal:
    """Takes out of parsed lines what differs from run to run."""

    def __init__(self):
        self.ordinals = {}

    def lsn(self, number):
        return self.ordinals.setdefault(number, len(self.ordinals) + 1)

    def lsn_text(self, text):
        return str(self.lsn(int(text)))

    def value(self, value):
        if not isinstance(value, dict):
            return value
        if is_wrapped(value):
            return dict(value, payload=self.value(value["payload"]))
        result = {}
        for name, item in value.items():
            if name in TIMES:
                item = 0
            elif name == "source":
                item = self.source(item)
            elif name == "transaction" and item is not None:
                item = dict(item, id=self.lsn_text(item["id"]))
            elif name == "id" and "status" in value:
                item = self.lsn_text(item)
            result[name] = item
        return result

    def source(self, source):
        result = {}
        lsn = self.lsn(source["lsn"])
        for name, item in source.items():
            if name in TIMES:
                item = 0
            elif name == "version":
                item = "V"
            elif name == "sequence":
                item = json.dumps([None if t is None else self.lsn_text(t)
                                   for t in json.loads(item)], separators=(",", ":"))
            elif name == "lsn":
                item = lsn
            result[name] = item
        return result

    def line(self, parsed):
        if "headers" in parsed and "topic" in parsed:
            result = dict(parsed, value=self.value(parsed["value"]))
            if "status" in (content(parsed) or {}):
                result["key"] = self.key(parsed["key"])
            return result
        return self.value(parsed)

    def key(self, key):
        if is_wrapped(key):
            return dict(key, payload=self.key(key["payload"]))
        return dict(key, id=self.lsn_text(key["id"]))


def same(got, want):
    """Equal in value, type and order of fields."""
    if isinstance(want, JsonFloat):
        if not isinstance(got, JsonFloat):
            return False
        check_float_text(got)
        return float(got).hex() == float(want).hex()
    if type(got) is not type(want):
        return False
    if isinstance(want, dict):
        return list(got) == list(want) and all(same(got[k], want[k]) for k in want)
    if isinstance(want, list):
        return len(got) == len(want) and all(map(same, got, want))
    return got == want


def dump(parsed):
    return json.dumps(parsed, separators=(",", ":"), ensure_ascii=False)


def of_sentinel(parsed):
    """Whether the line belongs to the runner's own last transaction."""
    value = content(parsed)
    if value is None:
        return False
    if "__table" in value:      # a row alone
        return value["__table"] == SENTINEL
    if "op" in value:
        return value["source"]["table"] == SENTINEL
    if value.get("status") == "END":
        return any(c["data_collection"] == SENTINEL for c in value["data_collections"])
    return False


def transaction_of(parsed):
    value = content(parsed)
    if value is None:
        return None
    if "__table" in value:
        return SENTINEL if of_sentinel(parsed) else None
    return str(value["source"]["lsn"]) if "source" in value else value.get("id")


def collect(tail, script, name, metadata):
    """All lines that the change gave."""
    if os.path.exists(os.path.join(HERE, name, "no-sentinel")):
        tail.wait_quiet(0.5)
        return [parse_line(t) for t in tail.take_all()]
    script.name = "main" if "main" in script.names else script.name
    script.statement("INSERT INTO %s VALUES (1)" % SENTINEL)
    lines, mark = [], None
    while mark is None or (metadata and
                           (content(lines[-1]) or {}).get("status") != "END"):
        if not tail.wait_lines(1, 10):
            raise Failed("the last transaction's event did not come; so far:\n%s"
                         % "\n".join(map(dump, lines)))
        parsed = parse_line(tail.take(1)[0])
        lines.append(parsed)
        if of_sentinel(parsed) and mark is None:
            mark = transaction_of(parsed)
    tail.wait_quiet(0.03)
    late = tail.take_all()
    expect(not late, "lines after the last transaction: %r", late)
    return [t for t in lines if transaction_of(t) != mark]


def run_case(name, variant, options, write=False):
    """Runs one case; raises where the lines are not the expected ones."""
    if not os.access(options.rowtail, os.X_OK):
        raise NotRun("%s is not built" % options.rowtail)
    if variant.startswith("apsw") and has_apsw():
        raise NotRun(has_apsw())
    box = Box(options, name)
    try:
        path = box.path("case.db")
        script = Script(box, variant, path, 0.025 if options.fake else 0.0)
        script.run(read(name, "setup.sql"))
        script.statement("PRAGMA journal_mode=WAL")
        script.statement("CREATE TABLE %s(id INTEGER PRIMARY KEY)" % SENTINEL)
        arguments = read(name, "args").split("\n")
        arguments = [a for a in arguments if a]
        tail = box.tail(path, *arguments)
        script.run(read(name, "change.sql"))
        metadata = any("provide.transaction.metadata=true" in a for a in arguments)
        normal = Normal()
        got = [normal.line(t) for t in collect(tail, script, name, metadata)]
        box.stop(tail)
        left = tail.take_all()
        expect(not left and not tail.rest, "output after the end: %r", left)
        target = os.path.join(HERE, name, "expected.jsonl")
        if write:
            with open(target, "w", encoding="utf-8") as out:
                out.writelines(dump(t) + "\n" for t in got)
            return
        want = [parse_line(t.encode() + b"\n")
                for t in read(name, "expected.jsonl").split("\n") if t]
        compare(got, want)
        check_stderr(name, tail.errors)
    except (Mismatch, TailFailed, WriterFailed) as problem:
        raise Failed(str(problem))
    finally:
        box.close()


def takes_schemas(name):
    """Whether run_with_schemas can run the case."""
    return "schemas.enable" not in read(name, "args") and not os.path.exists(
        os.path.join(HERE, name, "no-sentinel"))


SCHEMAS = ["-D", "schemas.enable=true", "-D", "header.converter.schemas.enable=true",
           "-D", "include.schema.changes=true",
           "-D", "event.converting.failure.handling.mode=skip"]


def run_with_schemas(name, options):
    """Runs the case with schemas: each message must be what its schema says, and there
    are the same ones, but for those that cannot be and for schema changes."""
    if not os.access(options.rowtail, os.X_OK):
        raise NotRun("%s is not built" % options.rowtail)
    box = Box(options, name)
    try:
        path = box.path("case.db")
        script = Script(box, variants(name)[0], path)
        script.run(read(name, "setup.sql"))
        script.statement("PRAGMA journal_mode=WAL")
        script.statement("CREATE TABLE %s(id INTEGER PRIMARY KEY)" % SENTINEL)
        arguments = [a for a in read(name, "args").split("\n") if a]
        tail = box.tail(path, *arguments, *SCHEMAS)
        script.run(read(name, "change.sql"))
        metadata = any("provide.transaction.metadata=true" in a for a in arguments)
        got = collect(tail, script, name, metadata)
        box.stop(tail)
        for message in got:
            check_parts(message)
        events = [t for t in got if "op" in (content(t) or {})]
        want = [t for t in read(name, "expected.jsonl").split("\n") if '"op":' in t]
        skipped = sum("the event is left out" in e for e in tail.errors)
        expect(len(events) <= len(want) <= len(events) + skipped,
               "%d events, %d without schemas, %d warnings", len(events), len(want),
               skipped)
    except (Mismatch, TailFailed, WriterFailed) as problem:
        raise Failed(str(problem))
    finally:
        box.close()


def check_parts(message):
    if "topic" not in message:
        connect.check_message(message)
        return
    for part in [message["key"], message["value"], *message["headers"].values()]:
        connect.check_message(part)


def compare(got, want):
    for i, (mine, theirs) in enumerate(zip(got, want)):
        if not same(mine, theirs):
            raise Failed("line %d is\n%s\nexpected\n%s" % (i + 1, dump(mine),
                                                           dump(theirs)))
    if len(got) > len(want):
        raise Failed("%d lines too many, the first:\n%s" % (
            len(got) - len(want), dump(got[len(want)])))
    if len(got) < len(want):
        raise Failed("%d lines missing, the first:\n%s" % (
            len(want) - len(got), dump(want[len(got)])))


def check_stderr(name, errors):
    """stderr.regex: each line a pattern that one line on stderr must match."""
    for pattern in read(name, "stderr.regex").splitlines():
        count = sum(bool(re.search(pattern, e, re.IGNORECASE)) for e in errors)
        if count != 1:
            raise Failed("%d lines on stderr match %r:\n%s" % (
                count, pattern, "\n".join(errors)))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rowtail", default="build/rowtail")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    settings = Options(options.rowtail, fake="fake" in options.rowtail)
    failed = 0
    for name in options.names or case_names():
        for variant in variants(name)[:1] if options.write else variants(name):
            try:
                run_case(name, variant, settings, options.write)
            except (Failed, NotRun) as problem:
                failed += 1
                print("%s[%s]: %s" % (name, variant, problem))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Snapshots that are asked for: what the checks of them share."""

import contextlib
import json
import os
import socket

from harness.box import expect
from state.consumer import Session
from state.starts import TABLE, many

NOTHING = ["-D", "snapshot.mode=no_data"]


def chunks_of(rows):
    return ["-D", "incremental.snapshot.chunk.size=%d" % rows]


def rows(first, last, table, text="row"):
    """Rows of a table of two columns."""
    return many(first, last, text).replace("INTO t ", "INTO %s " % table, 1)


def prepared(box, *statements, args=(), **kinds):
    """A database with the table t, and a session that has none of its rows."""
    writer, path = box.database(TABLE, *statements, **kinds)
    return writer, Session(box, path, *NOTHING, *args)


def say(session, *words, code=0):
    """rowtail signal; what it prints."""
    result = session.box.run("signal", "--state", session.directory, *words, timeout=40)
    expect(result.code == code, "exit %d: %s: %s", code, " ".join(words), result)
    if code:
        expect(len(result.error_lines) == 1 and not result.out, "%s", result)
        return result.error_lines[0]
    expect(not result.err and result.out.endswith(b"\n"), "%s", result)
    return result.out.decode().rstrip("\n")


def execute(session, *tables, more=()):
    """Asks for tables; the signal's id."""
    words = [w for t in tables for w in ("--table", t)]
    return say(session, "execute-snapshot", *words, *more)


def signal_line(kind, *tables, id=None, **data):
    if tables:
        data["data-collections"] = list(tables)
    return json.dumps({"id": id or kind, "type": kind, "data": data})


SIGNALS = "CREATE TABLE signals(id TEXT PRIMARY KEY, type TEXT, data TEXT)"
SOURCE = ["-D", "signal.data.collection=signals"]


def signal_row(kind, *tables, id="1", **data):
    line = json.loads(signal_line(kind, *tables, id=id, **data))
    return "INSERT INTO signals VALUES ('%s', '%s', '%s')" % (
        id, kind, json.dumps(line["data"]).replace("'", "''"))


class Client:
    """The socket of signals, connected: so that it is known when a signal was sent."""

    def __init__(self, session):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30 * session.box.slow)
        folder = os.open(session.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.socket.connect("/proc/self/fd/%d/signals.sock" % folder)
        finally:
            os.close(folder)

    def send(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def answer(self):
        got = b""
        with contextlib.closing(self.socket):
            while not got.endswith(b"\n"):
                data = self.socket.recv(4096)
                expect(data, "no answer: %r", got)
                got += data
        return json.loads(got)


def ended(run, id, word="completed"):
    """Waits for the line in the log that a snapshot is over."""
    line = "snapshot %s: %s" % (id, word)
    run.session.box.wait_until(
        lambda: any(line in e for e in run.tail.errors) or run.tail.process.poll()
        is not None, 30, "no line %r; stderr:\n%s" % (line, run.tail.error_text()))
    expect(any(line in e for e in run.tail.errors), "%s", run.tail.error_text())


def told(errors, *words):
    """The lines that have all of the words."""
    return [e for e in errors if all(w in e for w in words)]


def contents(events, table=None):
    """The ids, or the rows, of the r events of a table."""
    found = [e.after for e in events
             if e.op == "r" and (table is None or e.table == table)]
    return [r.get("id", tuple(r.values())) for r in found]


def notes(path):
    """What notification.file holds of snapshots on demand."""
    with open(path) as source:
        found = [json.loads(line) for line in source]
    return [n for n in found if n["type"] != "SKIPPED"]

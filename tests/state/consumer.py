"""What a consumer knows who reads all that rowtail prints in the life of one state
directory, over any number of runs: every message once, and the rows that result.
"""

import json
import os
import signal
import time

from harness.box import Failed, expect
from harness.events import RECORD_FIELDS, VALUE_FIELDS, Mismatch, parse_line
from harness.expect import json_value, short
from harness.state import ascii_lower, column_default, read_state
from harness.tail import TailFailed

CATCH_UP = "rowtail.catch_up"
MERGED = "rowtail.merged"


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def payload(message):
    """Without its schema, if it has one."""
    wrapped = isinstance(message, dict) and list(message) == ["schema", "payload"]
    return message["payload"] if wrapped else message


class Message:
    """One line of --lines=record."""

    __slots__ = ("line", "topic", "key", "value", "headers", "identity")

    def __init__(self, line):
        record = parse_line(line)
        if list(record) != RECORD_FIELDS:
            raise Mismatch("record has fields %r" % list(record))
        self.line = line
        self.topic, self.key = record["topic"], payload(record["key"])
        self.value, self.headers = payload(record["value"]), record["headers"]
        self.identity = None        # set by Stream: what makes it the same message
        if self.is_event and list(self.value) != VALUE_FIELDS:
            raise Mismatch("event has fields %r" % list(self.value))

    @property
    def is_event(self):
        return self.value is not None and "op" in self.value

    @property
    def is_schema_change(self):
        return self.value is not None and "ddl" in self.value

    @property
    def is_heartbeat(self):
        return self.topic.startswith("__debezium-heartbeat.")

    @property
    def is_tombstone(self):
        return self.value is None

    @property
    def op(self):
        return self.value["op"]

    @property
    def before(self):
        return self.value["before"]

    @property
    def after(self):
        return self.value["after"]

    @property
    def source(self):
        return self.value["source"]

    @property
    def table(self):
        return self.source["table"]

    @property
    def lsn(self):
        return self.source["lsn"]

    @property
    def change_id(self):
        return self.source["change_id"]

    @property
    def is_row(self):
        """A row of a snapshot, the first one or one that was asked for."""
        return self.is_event and self.op == "r"

    @property
    def is_catch_up(self):
        return self.headers.get(CATCH_UP) is True

    @property
    def merged(self):
        """The transactions of which it is the net effect; 0: it is of one."""
        return self.headers.get(MERGED, 0)

    def same_as(self, other):
        """Equal but for the time at which it was printed."""
        return self._timeless() == other._timeless()

    def _timeless(self):
        value = self.value
        if value is not None:
            value = timeless(value)
            if self.is_row:         # read again, at another time
                value["source"] = timeless(self.source)
        return dump([self.topic, self.key, value, self.headers])

    def __repr__(self):
        return short(self.line.decode("utf-8", "replace").rstrip())


def timeless(fields):
    return {k: v for k, v in fields.items() if not k.startswith("ts_")}


class Stream:
    """The messages of all runs, in order, each once.

    After a clean end the next run goes on behind the last message. After kill -9 some
    may come again, and must be the same ones.
    """

    def __init__(self, prefix="app"):
        self.prefix = prefix
        self.messages = []
        self.places = {}            # identity -> index in messages
        self.change_id = 0
        self.lsn = None             # of the last transaction that gave an event
        self.previous_lsn = None    # and of the one before it
        self.repeated = 0
        self.cursor = 0             # behind the last run's last message,
        self.is_sure = True         # from where the next one must go on

    @property
    def events(self):
        return [m for m in self.messages if m.is_event]

    def add(self, messages, clean):
        """Takes all messages of one run and how it ended; returns those that are new.
        A run without any says nothing about where the next one begins. Heartbeats
        come at any time between transactions."""
        self._check_heartbeats(messages)
        messages = [m for m in messages if not m.is_heartbeat]
        self._identify(messages)
        if not messages:
            return []
        place = self.places.get(messages[0].identity, len(self.messages))
        again = messages[:len(self.messages) - place]
        fresh = messages[len(again):]
        if self.is_sure and place != self.cursor:
            raise Mismatch("after a clean stop behind message %d it goes on with"
                           " message %d: %r" % (self.cursor, place + 1, messages[0]))
        self.cursor, self.is_sure = place + len(messages), clean
        for mine, theirs in zip(self.messages[place:], again):
            if not mine.same_as(theirs):
                raise Mismatch("after kill -9 another message comes again:\n%r\nit"
                               " was:\n%r" % (theirs, mine))
        self.repeated += len(again)
        for message in fresh:
            self._append(message)
        return fresh

    def _check_heartbeats(self, messages):
        known = self.messages if self.is_sure else []
        status = next((m.value["status"] for m in reversed(known)
                       if "status" in (m.value or {})), None)
        for message in messages:
            status = (message.value or {}).get("status", status)
            if message.is_heartbeat and status == "BEGIN":
                raise Mismatch("a heartbeat in a transaction: %r" % message)

    def _identify(self, messages):
        for i, message in enumerate(messages):
            if message.is_event:
                message.identity = ("event", message.change_id)
            elif message.is_tombstone:
                message.identity = self._tombstone_of(messages, i)
            elif message.is_schema_change:
                message.identity = ("schema", message.lsn, message.value["ddl"])
            else:
                message.identity = (message.value["status"], message.value["id"])

    def _tombstone_of(self, messages, i):
        if i > 0:
            if not messages[i - 1].is_event or messages[i - 1].op != "d":
                raise Mismatch("a tombstone after %r" % messages[i - 1])
            return ("tombstone", messages[i - 1].change_id)
        if len(messages) > 1 and messages[1].is_event:
            place = self.places.get(("event", messages[1].change_id))
            if place is not None and place > 0:
                return self.messages[place - 1].identity
        elif len(messages) > 1 and "status" in (messages[1].value or {}):
            end = (messages[1].value["status"], messages[1].value["id"])
            if end in self.places:
                return self.messages[self.places[end] - 1].identity
        if not self.messages:
            raise Mismatch("the first message is a tombstone")
        last = self.messages[-1]
        if last.is_tombstone:
            return last.identity
        if not last.is_event or last.op != "d" or last.key != messages[0].key:
            raise Mismatch("the run begins with %r after %r" % (messages[0], last))
        return ("tombstone", last.change_id)

    def _append(self, message):
        if message.identity in self.places:
            raise Mismatch("a second time: %r" % message)
        if message.is_event:
            self._check_numbers(message)
        self.places[message.identity] = len(self.messages)
        self.messages.append(message)

    def _check_numbers(self, message):
        self.change_id += 1
        if message.change_id != self.change_id:
            raise Mismatch("change_id %d, expected %d: %r" % (
                message.change_id, self.change_id, message))
        if self.lsn is not None and message.lsn < self.lsn:
            raise Mismatch("lsn %d after %d" % (message.lsn, self.lsn))
        if message.lsn != self.lsn:
            self.previous_lsn, self.lsn = self.lsn, message.lsn
        want = dump([None if self.previous_lsn is None else str(self.previous_lsn),
                     str(self.lsn)])
        if message.is_row and self.change_id > 1:   # its LSN is that of the last one
            want = message.source["sequence"]
        if message.source["sequence"] != want:
            raise Mismatch("sequence %s, expected %s: %r" % (
                message.source["sequence"], want, message))


class Replica:
    """Rows as events leave them. Each `before` must be the row that is there, and if all
    rows are known (`is_whole`), each row of an incremental snapshot."""

    def __init__(self, is_whole=False):
        self.is_whole = is_whole
        self.is_begun = False       # the first snapshot is over, or there was none
        self.tables = {}            # lower-case name -> {key text: row} or [row]

    def apply(self, message):
        name = ascii_lower(message.table)
        after = message.after
        if self.is_whole and message.source["snapshot"] == "incremental":
            rows = self.tables.get(name, [])
            rows = rows if isinstance(rows, list) else rows.values()
            if not any(same_row(r, after) for r in rows):
                raise Mismatch("a row that no event has told of: %r" % message)
        rows = self.tables.setdefault(name, [] if message.key is None else {})
        if isinstance(rows, list):
            self._apply_without_key(rows, message)
        else:
            self._apply_with_key(rows, message)
        self.is_begun |= not message.is_row or message.source["snapshot"] == "last"

    @staticmethod
    def _apply_with_key(rows, message):
        before, after = message.before, message.after
        key = dump(message.key)
        if message.op in "ud":
            if key not in rows:
                raise Mismatch("%s of a row that is not there: %r" % (
                    message.op, message))
            if not same_row(rows[key], before):
                raise Mismatch("before is %s, the row was %s" % (
                    short(before), short(rows[key])))
        elif message.op == "r":
            if key in rows and not same_row(rows[key], after):
                raise Mismatch("the row is %s, events left %s" % (
                    short(after), short(rows[key])))
        elif key in rows:
            raise Mismatch("%s of a row that is there: %r" % (message.op, message))
        if message.op == "d":
            del rows[key]
        else:
            rows[key] = after

    def _apply_without_key(self, rows, message):
        if message.op in "ud":
            found = next((i for i, r in enumerate(rows)
                          if same_row(r, message.before)), None)
            if found is None:
                raise Mismatch("%s of a row that is not there: %r" % (
                    message.op, message))
            del rows[found]
        if message.is_row and self.is_begun and any(same_row(r, message.after) for r in rows):
            return
        if message.after is not None:
            rows.append(message.after)

    def rename(self, old, new):
        self.tables[new] = self.tables.pop(old)

    def compare(self, state):
        """Raises unless the rows are those of the database."""
        for name, table in state.tables.items():
            mine = self.tables.get(name, [])
            mine = mine if isinstance(mine, list) else list(mine.values())
            mine = sorted(dump(reshaped(r, table.schema)) for r in mine)
            want = sorted(dump(dict(zip(table.schema.names, map(json_value, row[1:]))))
                          for row in table.rows)
            if mine != want:
                extra = [r for r in mine if r not in set(want)]
                missing = [r for r in want if r not in set(mine)]
                raise Mismatch("table %s: %d rows, expected %d; not in the database:"
                               " %s; missing: %s" % (name, len(mine), len(want),
                                                     extra[:3], missing[:3]))


def same_row(mine, theirs):
    """Equal; where the columns differ (the schema changed) on those in both."""
    if theirs is not None and list(mine) != list(theirs):
        common = [n for n in mine if n in theirs]
        mine = {n: mine[n] for n in common}
        theirs = {n: theirs[n] for n in common}
    return dump(mine) == dump(theirs)


def reshaped(row, schema):
    """A row of earlier columns as the schema shows it now."""
    if list(row) == schema.names:
        return row
    return {c.name: row[c.name] if c.name in row
            else json_value(column_default(c, schema.strict)) for c in schema.columns}


class Run:
    """One process of rowtail on the state directory."""

    def __init__(self, session, tail):
        self.session = session
        self.tail = tail
        self.messages = []
        self.begun = b""            # of a line whose end is still to come

    def read(self, count):
        """Reads `count` lines and leaves the rest in the pipe (start with take=False),
        so that it cannot get far ahead."""
        descriptor = self.tail.process.stdout.fileno()
        while count > 0:
            data = os.read(descriptor, 4096)
            expect(data, "it ended; stderr:\n%s", self.tail.error_text())
            *lines, self.begun = (self.begun + data).split(b"\n")
            self.messages += [Message(t + b"\n") for t in lines]
            count -= len(lines)

    def pull(self):
        lines = self.tail.take_all()
        if lines and self.begun:
            lines[0], self.begun = self.begun + lines[0], b""
        self.messages += [Message(t) for t in lines]
        return [m for m in self.messages if m.is_event]

    def wait(self, count, timeout=15):
        """All events of this run, once it has given `count` of them."""
        deadline = time.monotonic() + timeout * self.session.box.slow
        while True:
            events = self.pull()
            if len(events) >= count:
                return events
            expect(time.monotonic() < deadline, "%d events of %d came; stderr:\n%s",
                   len(events), count, self.tail.error_text())
            try:
                self.tail.wait_lines(1, 0.5)
            except TailFailed as problem:
                events = self.pull()
                expect(len(events) >= count, "%d events of %d: %s", len(events), count,
                       problem)
                return events

    def wait_following(self):
        self.tail.wait_following(20)
        return self

    def stop(self, sig=signal.SIGTERM):
        """Ends it cleanly; the events of this run that are new."""
        if not self.tail.line_thread:
            self.tail.process.send_signal(sig)
            time.sleep(0.01)
            self.tail.start_taking()
        self.session.box.stop(self.tail, sig)
        expect(not self.tail.rest, "half a line: %r", self.tail.rest[-300:])
        return self.end(clean=True)

    def kill(self):
        self.tail.kill()
        if not self.tail.line_thread:
            self.tail.start_taking()
        self.tail.line_thread.join(10)
        self.session.box.complain(self.tail.errors)
        return self.end(clean=False)

    def end(self, clean):
        self.pull()
        expect(not (clean and self.begun), "half a line: %r", self.begun)
        return self.session.take(self.messages, clean)


class Session:
    """A database, its state directory, and all that came of them."""

    def __init__(self, box, path, *args, directory="state"):
        self.box = box
        self.path = path
        self.directory = directory if "/" in directory else box.path(directory)
        self.args = list(args)
        self.stream = Stream()
        self.replica = Replica()

    def arguments(self, *more):
        return [self.path, "--state", self.directory, "--lines=record", *self.args,
                *more]

    def take(self, messages, clean):
        """Adds a run's messages; the events that are new."""
        try:
            fresh = self.stream.add(messages, clean)
            events = [m for m in fresh if m.is_event]
            for event in events:
                self.replica.apply(event)
        except Mismatch as problem:
            raise Failed(str(problem))
        return events

    def start(self, *more, wait=True, take=True, preexec=None):
        return Run(self, self.box.tail(*self.arguments(*more), wait=wait, take=take,
                                       preexec=preexec))

    def once(self, *more, timeout=30):
        """Runs it with --once; the events that are new."""
        result = self.box.run(*self.arguments("--once", *more), timeout=timeout)
        expect(result.code == 0, "--once: %s", result)
        self.errors = result.error_lines
        return self.take_output(result.out, clean=True)

    def take_output(self, out, clean):
        lines = out.split(b"\n")
        expect(lines.pop() == b"", "half a line: %r", out[-300:])
        return self.take([Message(t + b"\n") for t in lines], clean)

    def matches(self, state=None):
        """The consumer's rows are the database's."""
        try:
            self.replica.compare(state or read_state(self.path))
        except Mismatch as problem:
            raise Failed(str(problem))

    def files(self):
        return sorted(os.listdir(self.directory))


def each_alone(events):
    """Every event is a transaction of its own, none found by comparing."""
    lsns = Brief(e.lsn for e in events)
    expect(len(set(lsns)) == len(lsns), "lsns %s", lsns)
    expect(not any(e.is_catch_up for e in events), "a catch-up: %r",
           next((e for e in events if e.is_catch_up), None))


def one_catch_up(events):
    """All are of one transaction that was found by comparing."""
    lsns = Brief(sorted({e.lsn for e in events}))
    expect(len(lsns) <= 1, "lsns %s", lsns)
    for event in events:
        expect(event.headers.get(CATCH_UP) is True, "no header %s: %r", CATCH_UP, event)
        expect(event.source["snapshot"] == "false", "snapshot marker: %r", event)


class Brief(list):
    """A list that is shown by its first and last members."""

    def __repr__(self):
        if len(self) < 12:
            return super().__repr__()
        return "[%s, … %d in all …, %s]" % (
            ", ".join(map(repr, self[:6])), len(self), ", ".join(map(repr, self[-3:])))

    __str__ = __repr__


def summary(events):
    """(op, id or None) of each, for comparisons that read well."""
    return Brief((e.op, (e.after or e.before).get("id")) for e in events)

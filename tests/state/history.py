"""Which of the states that a database had are the ones that a stream of messages tells.

Every committed state is known (harness/state.py). A transaction must lead from one to
the next; one that carries the header of a catch-up may lead over any number of them, but
only to a state at which rowtail was just being started again.
"""

import copy
import re

from harness import expect
from harness.events import Mismatch, same_value
from harness.expect import ANY, Event, Renames, json_value, short
from harness.state import ascii_lower

from state.consumer import dump


class Start:
    """A run: `first` and `last` are the states before and after it. Where nothing
    proves what happened before it (`is_loose`) it may begin with a catch-up."""

    __slots__ = ("first", "last", "is_loose")

    def __init__(self, first, is_loose):
        self.first = first
        self.last = None
        self.is_loose = is_loose


class CatchUpRenames(Renames):
    """After long enough a table of other columns that has a row in common need not be
    the one that is gone, and sqlite_schema tells less of many transactions."""

    def _says(self, old_name, new_name):
        return "perhaps" if super()._says(old_name, new_name) else None

    def _likeness(self, old_name, new_name):
        likeness = super()._likeness(old_name, new_name)
        old, new = self.old.tables[old_name], self.new.tables[new_name]
        if likeness == "yes" and old.schema.plan != new.schema.plan:
            return "perhaps"
        return likeness


class History:
    """States in order, and at which of them the stream can be."""

    def __init__(self, checker):
        self.checker = checker      # harness/events.py: LineChecker
        self.states = []
        self.units = []             # the unit that led to a state
        self.starts = []
        self.at = None              # indices; None: nothing told yet
        self.answers = {}
        self.catch_ups = 0
        self.transactions = 0
        self.merged = 0             # transactions that are several
        self.merges = False         # there may be such, anywhere
        self.chunk_rows = 0         # of snapshots that were asked for

    def add(self, state, unit):
        self.states.append(state)
        self.units.append(unit)

    @property
    def now(self):
        return len(self.states) - 1

    def begin(self, is_loose):
        self.starts.append(Start(self.now, is_loose))

    def end(self):
        if self.starts and self.starts[-1].last is None:
            self.starts[-1].last = self.now

    def forget(self):
        """All is told: only the last state counts from here."""
        self.states, self.units = self.states[-1:], self.units[-1:]
        self.starts, self.answers, self.at = [], {}, {0}

    # -- what leads where ------------------------------------------------------

    def step(self, i):
        """The acceptable answers to the commit from state i to i + 1."""
        if i not in self.answers:
            old, new, unit = self.states[i], self.states[i + 1], self.units[i + 1]
            answers = expect.step(old, new, vacuum=unit.vacuum)
            if unit.only_renames and len(answers) > 1 and not Renames(old, new).come:
                answers = answers[:1]
            self.answers[i] = answers
        return self.answers[i]

    def jumps(self, i):
        """States to which a catch-up, or a merged transaction, may lead from state i."""
        if self.merges:
            return list(range(i + 1, self.now + 1))
        found = set()
        for start in self.starts:
            if start.is_loose and i <= start.first:
                found.update(range(max(i + 1, start.first), start.last + 1))
        return sorted(found)

    def closure(self, places):
        """All states that can be reached without an event."""
        found, waiting = set(places), list(places)
        while waiting:
            i = waiting.pop()
            nearby = self.jumps(i)
            if i < self.now:
                nearby.append(i + 1)
            for j in nearby:
                if j not in found and (
                        [] in self.step(i) if j == i + 1 else self.is_same(i, j)):
                    found.add(j)
                    waiting.append(j)
        return found

    def is_same(self, i, j):
        """No event leads from one to the other."""
        for renamed in CatchUpRenames(self.states[i], self.states[j]).answers():
            try:
                if not catch_up_events(self.states[i], self.states[j], renamed, []):
                    return True
            except Mismatch:
                pass
        return False

    # -- the stream ------------------------------------------------------------

    def tell(self, messages):
        """Takes new messages; all of a transaction must be among them."""
        for transaction in transactions(messages):
            if transaction[0].is_row and self.at is not None:
                self.on_demand(transaction)
                continue
            self.transactions += 1
            catch_up = is_catch_up(transaction)
            merged = merged_total(transaction)
            self.catch_ups += catch_up
            self.merged += merged > 0
            events = [m for m in transaction if m.is_event]
            if not events:
                raise Mismatch("a transaction without events: %r" % transaction)
            if events[0].op == "r":
                self.snapshot(transaction)
                continue
            if self.at is None:
                self.at = {i for i, s in enumerate(self.states)
                           if not expect.snapshot(s)}
            self.at = self.closure(self.at)
            if catch_up or merged:
                self.at = self.led_by_catch_up(transaction, events)
            else:
                self.at = self.led_by_commit(transaction)

    def snapshot(self, transaction):
        if self.at is not None:
            raise Mismatch("a second snapshot: %r" % transaction[0])
        found, problem = set(), None
        for i, state in enumerate(self.states):
            problem = self.fits(transaction, expect.snapshot(state)) or problem
            if self.fitted:
                found.add(i)
        if not found:
            raise Mismatch("the snapshot is of none of %d states: %s" % (
                len(self.states), problem))
        self.at, self.checker = found, self.adopted

    def on_demand(self, rows):
        """A chunk of a snapshot that was asked for: each row is there as it is told."""
        self.at = self.closure(self.at)
        for message in rows:
            self.chunk_rows += 1
            found = {i for i in self.at if has_row(self.states[i], message)}
            if not found:
                raise Mismatch("a row that is in none of the states %s: %r" % (
                    sorted(self.at), message))
            self.at = found
        self.checker.change_id = rows[-1].change_id
        self.checker.previous_lsn = rows[-1].lsn

    def fits(self, transaction, events, ordered=True):
        """None if the lines are those of `events`, else what is wrong."""
        self.fitted = False
        if self.checker.line_count(events) != len(transaction):
            return "%d lines, expected %d; %s" % (
                len(transaction), self.checker.line_count(events),
                differences(transaction, events))
        trial = copy.copy(self.checker)
        try:
            trial.check_transaction(
                [without_header(m.line) for m in transaction], events,
                ordered=ordered and all(e.ordered for e in events))
        except Mismatch as problem:
            return str(problem)
        self.adopted = trial
        self.fitted = True
        return None

    def led_by_commit(self, transaction):
        found, problems = set(), []
        for i in sorted(self.at):
            if i == self.now:
                continue
            for answer in self.step(i):
                if not answer:
                    continue
                problem = self.fits(transaction, answer)
                if problem is None:
                    found.add(i + 1)
                else:
                    problems.append((i, problem))
        if not found:
            raise Mismatch(self.complaint(transaction, problems))
        self.checker = self.adopted
        return found

    def led_by_catch_up(self, transaction, events):
        found, problems = set(), []
        for i in sorted(self.at):
            for j in self.jumps(i):
                if j in found:
                    continue
                problem = self.caught_up(transaction, events, i, j)
                if problem is None:
                    found.add(j)
                else:
                    problems.append((i, "to %d: %s" % (j, problem)))
        if not found:
            raise Mismatch(self.complaint(transaction, problems, "catch-up "))
        self.checker = self.adopted
        return found

    def caught_up(self, transaction, events, i, j):
        problem = None
        for renamed in CatchUpRenames(self.states[i], self.states[j]).answers():
            try:
                wanted = catch_up_events(self.states[i], self.states[j], renamed,
                                         events)
            except Mismatch as found:
                problem = str(found)
                continue
            if not wanted:
                problem = "no event expected"
                continue
            problem = self.fits(transaction, wanted)
            if problem is None:
                return None
        return problem

    def complaint(self, transaction, problems, kind=""):
        lines = ["%stransaction of %d messages fits nothing (states 0 to %d, at %s,"
                 " starts %s):" % (
                     kind, len(transaction), self.now, sorted(self.at),
                     [(s.first, s.last, s.is_loose) for s in self.starts])]
        lines += ["    %r" % m for m in transaction[:6]]
        lines += ["  from state %d (%s): %s" % (i, self.kind(i + 1), p)
                  for i, p in problems[:8]]
        return "\n".join(lines)

    def kind(self, i):
        return self.units[i].kind if i < len(self.units) else "end"

    def complete(self):
        """All that was committed is told."""
        if self.at is None:
            if not expect.snapshot(self.states[-1]):
                return
            raise Mismatch("no snapshot")
        places = self.closure(self.at)
        if self.now not in places:
            i = max(places)
            raise Mismatch("%d states are not told, the next by %s: %s" % (
                self.now - i, self.kind(i + 1), self.step(i)[0][:3]))


def rows_alike(table, rowid, values):
    """Those of that rowid; WITHOUT ROWID, of that first value of the key."""
    if table not in ROWS:
        if len(ROWS) > 100:
            ROWS.clear()
        place = ROWS[table] = {}
        for row in table.rows:
            place.setdefault(handle(table, row[0], map(json_value, row[1:])),
                             []).append(row)
    return ROWS[table].get(handle(table, rowid, values), [])


def handle(table, rowid, values):
    return rowid if rowid is not None else packed_values(values)


def packed_values(values):
    return re.sub("(\ufffd)+", "\ufffd", dump(list(values)))


ROWS = {}                           # of tables, as they were looked at last


def has_row(state, message):
    """The table of the state has the row of the message."""
    table = state.tables.get(ascii_lower(message.table))
    if table is None or list(message.after) != table.schema.names:
        return False
    rowid, values = message.source["rowid"], list(message.after.values())
    for row in rows_alike(table, rowid, values):
        if (rowid is None or rowid == row[0]) and all(map(same_value, values, row[1:])):
            return True
    return False


def transactions(messages):
    """Lists of the messages of one transaction each; rows of chunks, and of snapshots
    that end with a marker, are others."""
    groups, current, last, ends = [], None, object(), 0
    for message in messages:
        if message.is_row:
            marker = message.source["snapshot"]
            place = ("rows", message.lsn, marker == "incremental", ends)
            ends += marker == "last"
        elif message.is_event:
            place = str(message.lsn)
        elif message.is_tombstone:
            place = last
        else:
            place = message.value["id"]
        if place != last:
            current = []
            groups.append(current)
        current.append(message)
        last = place
    return groups


def is_catch_up(transaction):
    """Whether its events have the header; all of them or none."""
    marked = {m.is_catch_up for m in transaction if m.is_event or m.is_tombstone}
    if len(marked) > 1:
        raise Mismatch("some messages of a transaction have the header of a catch-up,"
                       " some not: %r" % transaction[:4])
    return marked == {True}


def merged_total(transaction):
    """The header that tells of how many it is; all of its messages say the same."""
    found = {m.merged for m in transaction if m.is_event or m.is_tombstone}
    if len(found) > 1 or found == {1}:
        raise Mismatch("merged of %r transactions: %r" % (sorted(found), transaction[:4]))
    return found.pop()


def differences(transaction, events):
    """What was not expected, and what did not come, in short."""
    got, want = {}, {}
    for message in transaction:
        if message.is_event:
            row = [None if r is None else list(r.values())
                   for r in (message.before, message.after)]
            got[dump([message.op, message.table] + row)] = message.source["rowid"]
    for event in events:
        row = [None if r is None else [None if v is ANY else json_value(v) for v in r]
               for r in (event.before, event.after)]
        want[dump([event.op, event.table] + row)] = event.rowid
    more = ["%s (rowid %s)" % (short(k), v) for k, v in got.items() if k not in want]
    less = ["%s (rowid %s)" % (short(k), v) for k, v in want.items() if k not in got]
    return "not expected %d: %s; missing %d: %s" % (
        len(more), more[:4], len(less), less[:4])


HEADER = re.compile(rb'"rowtail\.(?:catch_up":true|merged":[0-9]+),?')


def without_header(line):
    """The line as an ordinary transaction would have it (quotes in values are
    escaped)."""
    return HEADER.sub(b"", line).replace(b",}}", b"}}") if HEADER.search(line) else line


# -- what a catch-up must say ----------------------------------------------------------


def catch_up_events(old, new, renamed, got):
    """The expected events from one state to another. Of tables in which rows are known
    by their content alone, those of `got`, once they are found to be right."""
    result = []
    for name in sorted(new.tables, key=lambda n: n.encode()):
        was, table = old.tables.get(renamed.get(name, name)), new.tables[name]
        if was is table:
            continue
        if was is not None and without_key(was, table):
            mine = [m for m in got if m.table == table.schema.name]
            result += by_content(was, table, mine)
        else:
            result += expect.table_events(was, table)
    return result


def without_key(was, table):
    """Rows without a key: VACUUM and rebuilds may have given them other rowids."""
    schema = table.schema
    if not schema.key:
        return True
    if any(schema.key_of(r[1:]) is None for r in table.rows):
        return True
    if was.schema.plan != schema.plan and any(
            how == "any" and not column.is_virtual for (how, _), column in zip(
                expect.columns_map(was.schema, schema), schema.columns)):
        return True             # what the old rows had in it is left open
    return bool(was.schema.key) and any(
        was.schema.key_of(r[1:]) is None for r in was.rows)


def by_content(was, table, got):
    schema = table.schema
    mapped = [("old", i) for i in range(len(schema.columns))]
    if was.schema.plan != schema.plan:
        mapped = expect.columns_map(was.schema, schema)
    known = [i for i, (how, _) in enumerate(mapped) if how != "any"]
    rows = [[r[v + 1] if how == "old" else ANY if how == "any" else v
             for how, v in mapped] for r in was.rows]
    content = {}
    for row in rows:
        content.setdefault(packed(row, known), []).append(row)
    events, removed, added = [], [], []
    for message in got:
        before = checked_columns(message, message.before, schema)
        after = checked_columns(message, message.after, schema)
        if before is not None:
            there = content.get(packed(before, known))
            if not there or not all(map(same_value, before, there[-1])):
                raise Mismatch("no row has this before: %r" % message)
            there.pop()
            removed.append(packed(before, known))
        if after is not None:
            added.append(packed(after, known))
        events.append(as_event(message, schema, before, after))
    want = sorted(packed(r[1:], known) for r in table.rows)
    have = sorted([k for k, v in content.items() for _ in v] + added)
    if want != have:
        extra, missing = difference(have, want), difference(want, have)
        raise Mismatch("%s: %d rows too many: %s; %d missing: %s" % (
            schema.name, len(extra), short(extra[:2]), len(missing),
            short(missing[:2])))
    needless = set(removed) & set(added)
    if needless and was.schema.plan == schema.plan and not schema.key:
        raise Mismatch("%s: a row goes and comes again: %s" % (
            schema.name, short(sorted(needless)[0])))
    return events


def difference(a, b):
    left = list(a)
    for item in b:
        if item in left:
            left.remove(item)
    return left


def packed(row, known):
    return re.sub("(\ufffd)+", "\ufffd", dump([json_value(row[i]) for i in known]))


def checked_columns(message, row, schema):
    if row is not None and list(row) != schema.names:
        raise Mismatch("columns %r, expected %r: %r" % (
            list(row), schema.names, message))
    return None if row is None else list(row.values())


def as_event(message, schema, before, after):
    key = schema.key_of(after if after is not None else before)
    if key is not None:
        key = {schema.names[i]: v for i, v in zip(schema.key, key)}
    event = Event(message.op, schema, before, after, message.source["rowid"], key)
    event.other_key_open = True
    return event

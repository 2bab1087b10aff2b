"""A consumer's copy of the tables, kept by applying events to it.

Rows are what JSON gives back. Every event is checked against the row that it says it
found, so that a missed, doubled or reordered change cannot pass.

A text and a blob can look the same there ("" and x''): rows with such keys are told apart
by their place, see `place`.
"""

from .events import Mismatch, parse_line, same_value
from .expect import json_value, short
from .state import ascii_lower


class Model:
    """With `by_content` rows without a key are what is in them, wherever they are: of
    several transactions in one a row that goes and comes back elsewhere is none."""

    def __init__(self, state, by_content=False):
        self.by_content = by_content
        self.tables = {}
        self.schemas = {}
        self.events = 0
        self.last_lsn = None
        self.change_id = 0
        for name, table in state.tables.items():
            self.learn(name, table.schema)
            for row in table.rows:
                values = [json_value(v) for v in row[1:]]
                self.tables[name][self.free_place(name, row[0], values)] = values

    def learn(self, name, schema):
        self.schemas[name] = schema
        self.tables[name] = {}

    def forget_rows(self):
        """As it is before a snapshot."""
        for name in self.tables:
            self.tables[name] = {}

    def identity(self, name, rowid, values):
        schema = self.schemas[name]
        key = schema.key_of(values)
        if key is None and self.by_content:
            return ("row", repr(values))
        return ("rowid", rowid) if key is None else ("key",) + tuple(map(repr, key))

    def places(self, name, rowid, values):
        """Those of all rows whose keys look like this one's, and the next free one."""
        place, rows = self.identity(name, rowid, values), self.tables[name]
        found = []
        while place in rows:
            found.append(place)
            place += ("alike",)
        return found, place

    def free_place(self, name, rowid, values):
        """Where a new row goes; None: it is there, and no other one looks like it."""
        found, free = self.places(name, rowid, values)
        key = self.schemas[name].key_of(values)
        may_look_alike = (self.by_content if key is None else
                          any(isinstance(v, str) for v in key))
        return None if found and not may_look_alike else free

    def take(self, name, rowid, values):
        """Takes the row with this key out, of more the one with these values; None: none."""
        rows = self.tables[name]
        found, _ = self.places(name, rowid, values)
        if not found:
            return None
        taken = next((p for p in found if repr(rows[p]) == repr(values)), found[-1])
        rows[taken], rows[found[-1]] = rows[found[-1]], rows[taken]
        return rows.pop(found[-1])

    def apply_line(self, line):
        value = parse_line(line)
        if "source" in value:
            self.apply(value)
        return value

    def apply(self, value):
        source, op = value["source"], value["op"]
        name = ascii_lower(source["table"])
        if name not in self.tables:
            raise Mismatch("event of unknown table %s" % name)
        self.change_id += 1
        if source["change_id"] != self.change_id:
            raise Mismatch("change_id %d, expected %d" % (
                source["change_id"], self.change_id))
        if self.last_lsn is not None and source["lsn"] < self.last_lsn:
            raise Mismatch("lsn %d after %d" % (source["lsn"], self.last_lsn))
        self.last_lsn = source["lsn"]
        self.events += 1
        rows, rowid = self.tables[name], source["rowid"]
        before, after = self.values(name, value["before"]), self.values(
            name, value["after"])
        if op in "ud":
            mine = self.take(name, rowid, before)
            if mine is None:
                raise Mismatch("%s of a row that is not there: %s" % (
                    op, short(value)))
            self.same(mine, before, value)
        if op in "cur":
            here = self.free_place(name, rowid, after)
            if here is None:
                raise Mismatch("%s of a row that is there: %s" % (op, short(value)))
            rows[here] = after

    def values(self, name, row):
        if row is None:
            return None
        if list(row) != self.schemas[name].names:
            raise Mismatch("columns %r" % list(row))
        return list(row.values())

    def same(self, mine, theirs, value):
        if repr(mine) != repr(theirs) and not all(
                same_value(t, m) for m, t in zip(mine, theirs)):
            raise Mismatch("before is %s, the row was %s" % (short(theirs), short(mine)))

    def compare(self, state):
        """Raises unless the model equals the database."""
        want = Model(state, self.by_content)
        for name in state.tables:
            mine, theirs = self.tables.get(name, {}), want.tables[name]
            if contents(mine) != contents(theirs):
                extra = [k for k in mine if k not in theirs]
                missing = [k for k in theirs if k not in mine]
                other = [k for k in mine if k in theirs
                         and repr(mine[k]) != repr(theirs[k])]
                raise Mismatch("table %s: %d rows too many %s, %d missing %s, %d differ"
                               " %s" % (name, len(extra), extra[:3], len(missing),
                                        missing[:3], len(other), other[:3]))


def contents(rows):
    """All rows with what tells them apart, in an order of their own."""
    return sorted(repr((tuple(part for part in place if part != "alike"), values))
                  for place, values in rows.items())

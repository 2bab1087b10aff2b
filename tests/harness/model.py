"""A consumer's copy of the tables, kept by applying events to it.

Rows are what JSON gives back. Every event is checked against the row that it says it
found, so that a missed, doubled or reordered change cannot pass.
"""

from .events import Mismatch, parse_line, same_value
from .expect import json_value, short
from .state import ascii_lower


class Model:
    def __init__(self, state):
        self.tables = {}
        self.schemas = {}
        self.events = 0
        self.last_lsn = None
        self.change_id = 0
        for name, table in state.tables.items():
            self.learn(name, table.schema)
            for row in table.rows:
                values = [json_value(v) for v in row[1:]]
                self.tables[name][self.identity(name, row[0], values)] = values

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
        return ("rowid", rowid) if key is None else ("key",) + tuple(map(repr, key))

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
            there = self.identity(name, rowid, before)
            if there not in rows:
                raise Mismatch("%s of a row that is not there: %s" % (
                    op, short(value)))
            self.same(rows.pop(there), before, value) if op == "d" else self.same(
                rows[there], before, value)
        if op in "cur":
            here = self.identity(name, rowid, after)
            if op in "cr" and here in rows:
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
        want = Model(state)
        for name in state.tables:
            mine, theirs = self.tables.get(name, {}), want.tables[name]
            if repr(sorted(map(repr, mine.items()))) != repr(
                    sorted(map(repr, theirs.items()))):
                extra = [k for k in mine if k not in theirs]
                missing = [k for k in theirs if k not in mine]
                other = [k for k in mine if k in theirs
                         and repr(mine[k]) != repr(theirs[k])]
                raise Mismatch("table %s: %d rows too many %s, %d missing %s, %d differ"
                               " %s" % (name, len(extra), extra[:3], len(missing),
                                        missing[:3], len(other), other[:3]))

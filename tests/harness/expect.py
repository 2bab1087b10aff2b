"""What the documents say that a step from one state to the next must emit.

Works from two states of the whole database (harness/state.py) and from nothing
that the program under test could tell.
"""

import base64
import re

from .state import ascii_lower, column_default, exact


class AnyValue:
    """Stands in a row where the documents leave the value open."""

    def __repr__(self):
        return "<any>"


ANY = AnyValue()


class Event:
    """One expected event. `before` and `after` are lists of values or None."""

    __slots__ = ("op", "table", "names", "before", "after", "rowid", "key",
                 "other_key", "other_key_open", "ordered", "marker")

    def __init__(self, op, schema, before, after, rowid, key, name=None):
        self.op = op
        self.table = name or schema.name
        self.names = schema.names
        self.before = before
        self.after = after
        self.rowid = rowid
        self.key = key                  # {column: value} or None
        self.other_key = None           # of headers newkey (d) and oldkey (c)
        self.other_key_open = False     # the documents leave the headers open
        self.ordered = schema.ordered
        self.marker = "false"           # source.snapshot

    def __repr__(self):
        return "%s %s rowid=%r key=%r before=%s after=%s" % (
            self.op, self.table, self.rowid, self.key,
            short(self.before), short(self.after))


def short(row):
    text = repr(row)
    return text if len(text) < 300 else text[:200] + " … " + text[-90:]


def json_value(value, binary="bytes"):
    """A stored value as the JSON reader gives it back."""
    if isinstance(value, bytes):
        if binary == "hex":
            return value.hex()
        if binary == "base64-url-safe":
            return base64.urlsafe_b64encode(value).decode()
        return base64.b64encode(value).decode()
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raw = value.encode("utf-8", "surrogateescape")
            return raw.decode("utf-8", "replace")
    return value


class SchemaEvidence:
    """What sqlite_schema says of two states one transaction apart.

    A CREATE takes a rowid above all others, so a table on the rowid of one that is
    gone was renamed if a row above it stayed; and DROP and CREATE are two statements,
    of which each adds to the schema cookie.
    """

    NAME = re.compile(r'CREATE TABLE ("(?:[^"]|"")*"|\[[^]]*\]|`(?:[^`]|``)*`'
                      r"|'(?:[^']|'')*'|[\w$]+)(.*)", re.DOTALL)

    def __init__(self, old, new):
        self.old, self.new = old.schema, new.schema
        gone = [r for k, r in self.old.items() if k not in self.new]
        come = [r for k, r in self.new.items() if k not in self.old]
        self.gone = {r.rowid: r for r in gone if is_plain_table(r)}
        self.pairs = [(self.gone[r.rowid], r) for r in come
                      if is_plain_table(r) and r.rowid in self.gone]
        both = [(r, self.new[k]) for k, r in self.old.items() if k in self.new]
        self.above = max([b.rowid for a, b in both if a.all() == b.all()], default=0)
        self.in_place = max([b.rowid for a, b in both
                             if b.root and (a.rowid, a.root) == (b.rowid, b.root)],
                            default=0)
        # Statements that no rename of a table explains.
        made = [r for r in come if r.kind != "table" and r.sql]
        dropped = [r for r in gone if r.kind != "table" and r.sql and (
            r.kind == "view" or ("table", r.table) in self.new)]
        virtual = [r for r in gone + come if r.kind == "table" and not r.root] + [
            a for a, b in both if a.kind == "table" and not a.root and a.sql != b.sql]
        grown = (new.cookie - old.cookie) % 2**32
        self.too_few = not virtual and grown <= len(self.pairs) + len(made + dropped)
        self.moves = new.auto_vacuum != 0       # root pages, too

    def says(self, old_name, new_name):
        """"yes"; "perhaps": it may look so to who sees the pages; None: nothing."""
        pair = next((p for p in self.pairs
                     if (p[0].name, p[1].name) == (old_name, new_name)), None)
        if pair is None:
            return None
        was, now = pair
        if self.too_few or self._is_text(was, now):
            return "yes"
        return "perhaps" if now.rowid < self.in_place else None

    def _is_text(self, was, now):
        before, after = self.NAME.fullmatch(was.sql), self.NAME.fullmatch(now.sql)
        if (not before or not after or not after.group(1).startswith('"')
                or (was.root != now.root and not self.moves)):
            return False
        quoted = before.group(1).startswith('"')
        if before.group(2) == after.group(2):
            return not quoted or now.rowid < self.above
        return not quoted and is_insertion(*sorted((before.group(2), after.group(2)),
                                                   key=len))


def is_plain_table(row):
    return row.kind == "table" and row.root and not row.name.startswith("sqlite_")


def is_insertion(short, long):
    """`long` is `short` with one stretch put in."""
    return any(long.startswith(short[:i]) and long.endswith(short[i:])
               for i in range(len(short) + 1))


class Renames:
    """Decides which vanished table is which new one (docs/design.md, Schema). Where the
    two states cannot tell, several answers are given."""

    def __init__(self, old, new):
        self.gone = [n for n in old.tables if n not in new.tables]
        self.come = [n for n in new.tables if n not in old.tables]
        self.old = old
        self.new = new
        self.evidence = SchemaEvidence(old, new) if self.come and self.gone else None

    def _says(self, old_name, new_name):
        if (self.old.tables[old_name].schema.without_rowid
                != self.new.tables[new_name].schema.without_rowid):
            return None
        return self.evidence.says(old_name, new_name)

    def answers(self):
        """A list of {new name: old name}; more than one: all are acceptable."""
        pairs = [(n, o) for n in self.come for o in self.gone]
        told = [(n, o) for n, o in pairs if self._says(o, n) == "yes"]
        taken = {n for n, _ in told}, {o for _, o in told}
        pairs = [(n, o) for n, o in pairs
                 if n not in taken[0] and o not in taken[1]]
        return [dict(r, **dict(told)) for r in self._by_likeness(pairs)]

    def _by_likeness(self, candidates):
        sure, maybe = [], []
        for new_name, old_name in candidates:
            likeness = self._likeness(old_name, new_name)
            if likeness == "yes":
                sure.append((new_name, old_name))
            elif likeness == "perhaps" or self._says(old_name, new_name):
                maybe.append((new_name, old_name))
        pairs = sure + maybe
        if not pairs:
            return [{}]
        unique = (len({p[0] for p in pairs}) == len(pairs)
                  and len({p[1] for p in pairs}) == len(pairs))
        if unique and not maybe:
            return [dict(sure)]
        results = [{}]
        for new_name, old_name in pairs:
            results += [dict(r, **{new_name: old_name}) for r in results
                        if new_name not in r and old_name not in r.values()]
        if unique:
            return [r for r in results if all(r.get(n) == o for n, o in sure)]
        # Those first that have what the schema tells: there may be hundreds.
        told = {pair for pair in pairs if self.is_told(*pair)}
        return sorted(results[::-1], key=lambda r: -len(told & set(r.items())))[:24]

    def is_told(self, new_name, old_name):
        return self.evidence.says(old_name, new_name) == "yes"

    def _likeness(self, old_name, new_name):
        a, b = self.old.tables[old_name], self.new.tables[new_name]
        if a.schema.without_rowid != b.schema.without_rowid:
            return "no"
        if not a.rows and not b.rows:
            return "perhaps"            # same root page or not: not seen from here
        if not a.rows or not b.rows:
            return "no"
        mine, theirs = stored_columns(a.schema), stored_columns(b.schema)
        old_rows = {tuple([r[0]] + [r[i + 1] for i in mine]) for r in a.rows}
        partly = False
        for row in b.rows:
            values = tuple([row[0]] + [row[i + 1] for i in theirs])
            if values in old_rows:
                return "yes" if len(mine) == len(theirs) else "perhaps"
            if values[:len(mine) + 1] in old_rows:
                partly = True
        if partly or len(mine) != len(theirs):
            return "perhaps"
        return "no"


def stored_columns(schema):
    return [i for i, c in enumerate(schema.columns) if not c.is_virtual]


def columns_map(old, new):
    """For each new column: ("old", index), ("const", value) or ("any", None)."""
    old_names = {ascii_lower(n): i for i, n in enumerate(old.names)}
    new_names = {ascii_lower(n) for n in new.names}
    result = []
    for i, column in enumerate(new.columns):
        name = ascii_lower(column.name)
        if name in old_names:
            result.append(("old", old_names[name]))
            continue
        if i < len(old.columns):
            there = old.columns[i]
            if (ascii_lower(there.name) not in new_names
                    and same_declaration(there, column)):
                result.append(("old", i))
                continue
        if column.is_generated:
            result.append(("any", None))
        else:
            result.append(("const", column_default(column, new.strict)))
    return result


def same_declaration(a, b):
    return a.declaration() == b.declaration()


def table_events(old, new, name=None, by_content=False):
    """Events of one table that stands before and after. `old` may be None (a table
    made by this transaction)."""
    schema = new.schema
    mapped = None
    if old is None:
        old_rows = []
    elif old.schema is schema or old.schema.plan == schema.plan:
        if old.exact == new.exact:
            return []
        old_rows = old.rows
    else:
        mapped = columns_map(old.schema, schema)
        old_rows = [tuple([r[0]] + [
            r[v + 1] if how == "old" else (ANY if how == "any" else v)
            for how, v in mapped]) for r in old.rows]
        if old.schema.without_rowid != schema.without_rowid:
            old_rows = [(None if schema.without_rowid else r[0],) + r[1:]
                        for r in old_rows]
    if by_content and not schema.key:
        if exact([r[1:] for r in old_rows]) == exact([r[1:] for r in new.rows]):
            return []
    return pair_rows(schema, old_rows, new.rows, name, mapped)


def comparable(row):
    return exact([None if v is ANY else v for v in row])


def rows_equal(old, new):
    """Equal but for the places left open; rowids are compared by the caller."""
    if ANY not in old:
        return exact(old[1:]) == exact(new[1:])
    return all(a is ANY or exact(a) == exact(b) for a, b in zip(old[1:], new[1:]))


def pair_rows(schema, old_rows, new_rows, name, mapped=None):
    old_left, new_left = [], []     # (position, row)
    if mapped is None:
        theirs = {exact(r): None for r in new_rows}
        mine = {exact(r): None for r in old_rows}
        if schema.without_rowid or len(mine) == len(old_rows):
            old_left = [(i, r) for i, r in enumerate(old_rows) if exact(r) not in theirs]
            new_left = [(i, r) for i, r in enumerate(new_rows) if exact(r) not in mine]
    else:
        old_left = list(enumerate(old_rows))
        new_left = list(enumerate(new_rows))

    updates, pairs = [], []
    old_by_key, old_by_rowid = {}, {}
    for entry in old_left:
        key = schema.key_of(entry[1][1:])
        if key is not None and ANY not in key:
            old_by_key[exact(key)] = entry
        else:
            old_by_rowid[entry[1][0]] = entry
    leftovers = []
    for entry in new_left:
        key = schema.key_of(entry[1][1:])
        if key is not None:
            match = old_by_key.pop(exact(key), None)
        else:
            match = old_by_rowid.pop(entry[1][0], None)
        if match is None:
            leftovers.append(entry)
        elif not rows_equal(match[1], entry[1]) :
            updates.append((match, entry))
    gone = list(old_by_key.values()) + list(old_by_rowid.values())

    def key_dict(row):
        key = schema.key_of(row[1:])
        if key is None:
            return None
        return {schema.names[i]: v for i, v in zip(schema.key, key)}

    deletes, writes = [], []
    by_rowid = {}
    for position, row in gone:
        event = Event("d", schema, list(row[1:]), None, row[0], key_dict(row), name)
        deletes.append((position if schema.without_rowid else row[0], event))
        if not schema.without_rowid:
            by_rowid[row[0]] = event
    for position, row in leftovers:
        event = Event("c", schema, None, list(row[1:]), row[0], key_dict(row), name)
        writes.append((position if schema.without_rowid else row[0], event))
        if not schema.without_rowid and row[0] in by_rowid:
            link_keys(schema, by_rowid[row[0]], event, mapped is not None)
    for (_, before), (position, after) in updates:
        event = Event("u", schema, list(before[1:]), list(after[1:]), after[0],
                      key_dict(after), name)
        writes.append((position if schema.without_rowid else after[0], event))
    deletes.sort(key=lambda e: e[0])
    writes.sort(key=lambda e: e[0])
    return [e for _, e in deletes] + [e for _, e in writes]


def link_keys(schema, delete, create, is_open):
    """Headers newkey and oldkey: same rowid, a non-key column kept its value."""
    if delete.key is None or create.key is None:
        delete.other_key_open = create.other_key_open = True
        return
    kept = [i for i, c in enumerate(schema.columns)
            if i not in schema.key
            and exact(no_any(delete.before[i])) == exact(create.after[i])]
    if not kept:
        return
    plain = [i for i in kept if not schema.columns[i].is_generated]
    if not plain or is_open:
        delete.other_key_open = create.other_key_open = True
    delete.other_key = create.key
    create.other_key = delete.key


def no_any(value):
    return "\0any" if value is ANY else value


def step(old, new, vacuum=False):
    """The acceptable event lists (one, nearly always) of the transaction that led
    from `old` to `new`. An empty list in it: no event at all."""
    names = sorted(set(old.tables) | set(new.tables))
    changed = [n for n in names if old.tables.get(n) is not new.tables.get(n)]
    if not changed:
        return [[]]
    results = []
    for renamed in Renames(old, new).answers():
        events = []
        for name in sorted((n for n in changed if n in new.tables),
                           key=lambda n: n.encode()):
            was = old.tables.get(name)
            if name in renamed:
                was = old.tables[renamed[name]]
            events += table_events(was, new.tables[name], by_content=vacuum)
        if not any(same_events(events, r) for r in results):
            results.append(events)
    return results


def same_events(a, b):
    return len(a) == len(b) and all(repr(x) == repr(y) for x, y in zip(a, b))


def snapshot(state):
    """The `r` events of a snapshot, in the order of a transaction."""
    events = []
    for name in sorted(state.tables, key=lambda n: n.encode()):
        schema = state.tables[name].schema
        rows = state.tables[name].rows
        for i, row in enumerate(rows):
            event = Event("r", schema, None, list(row[1:]), row[0], None)
            event.marker = "true"
            if i == 0:
                event.marker = "first_in_data_collection"
            if i == len(rows) - 1:
                event.marker = "last_in_data_collection"
            key = schema.key_of(row[1:])
            if key is not None:
                event.key = {schema.names[i]: v for i, v in zip(schema.key, key)}
            events.append(event)
    if events:
        events[0].marker = "first"
        events[-1].marker = "last"
    return events

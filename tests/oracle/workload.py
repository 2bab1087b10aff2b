"""What a random application does next: units of at most one commit each.

Everything is drawn from one seed and from the database's state; SQL that fails (a
constraint, a missing table) is part of the life of an application and changes
nothing that the state read afterwards does not show.
"""

import re

from harness.state import ascii_lower, quote

from . import shapes
from .values import BrokenText, Values


class Unit:
    """Steps for one connection that commit at most once."""

    def __init__(self, kind, steps, strict=False, vacuum=False, only_renames=False):
        self.kind = kind
        self.steps = steps
        self.strict = strict                # the first error rolls all back
        self.vacuum = vacuum
        self.only_renames = only_renames    # a vanished name surely is a rename


def bind(value):
    """(placeholder, parameter) for a value."""
    if isinstance(value, BrokenText):
        return "CAST(? AS TEXT)", bytes(value)
    return "?", value


def has_own_collation(schema):
    """Text that is not valid in its keys fails in the application's collation, and so
    ruins the order of its own tree."""
    return "COLLATE backwards" in schema.sql


class Profile:
    """What kind of application this seed is."""

    def __init__(self, rng, have_apsw):
        pick = rng.choice
        self.page_size = pick([512, 512, 1024, 2048, 4096, 4096, 4096, 8192, 16384,
                               32768, 65536])
        self.encoding = pick(["UTF-8"] * 5 + ["UTF-16le", "UTF-16be"])
        self.auto_vacuum = pick([0, 0, 0, 1, 2])
        libraries = ["std"]
        if have_apsw:
            libraries = pick([["std"], ["apsw"], ["std", "apsw"], ["apsw", "std"]])
        self.libraries = libraries
        self.reserved = None
        if libraries[0] == "apsw" and rng.random() < 0.3:
            self.reserved = pick([1, 8, 32, 48])
        self.connections = pick([1, 1, 2, 3])
        self.cache_size = pick([-2000, -2000, 10, 10, 50])
        self.secure_delete = pick([None, None, 0, 1, "fast"])
        self.auto_checkpoint = pick([1000, 1000, 1000, 1, 20, 0])
        self.synchronous = pick(["OFF", "NORMAL", "NORMAL", "FULL"])
        self.no_psow = rng.random() < 0.12
        self.mmap = pick([0, 0, 0, 1 << 26])
        self.foreign_keys = rng.random() < 0.6
        self.recursive_triggers = rng.random() < 0.3
        self.free_running = rng.random() < 0.5
        self.record = rng.random() < 0.5
        self.metadata = rng.random() < 0.3
        self.snapshot = rng.random() < 0.35
        self.ddl = pick([0.0, 0.05, 0.15, 0.35])
        self.maintenance = pick([0.02, 0.06, 0.15])
        self.deep = rng.random() < 0.18 and self.page_size <= 2048
        self.big_values = pick([0.01, 0.06, 0.2]) if self.page_size < 16384 else 0.02
        # A WAL with zero checksums (spill, ROLLBACK TO) does not survive recovery:
        # SQLite itself loses commits. So a seed has either the one or the other.
        self.crashes = rng.random() < 0.3
        self.lonely = rng.random() < 0.12
        self.snapshots_held = rng.random() < 0.25
        self.virtual_tables = rng.random() < 0.2
        self.table_count = rng.randrange(2, 9)

    def line(self):
        return " ".join("%s=%s" % (k, v) for k, v in sorted(vars(self).items()))


class Workload:
    """Draws units. `state` is the last committed state; the runner renews it."""

    def __init__(self, rng, profile):
        self.rng = rng
        self.profile = profile
        self.values = Values(rng, profile.page_size, profile.encoding == "UTF-8",
                             profile.big_values)
        self.state = None
        self.counter = 0
        self.limit = 400 if not profile.deep else 9000

    def name(self, start):
        self.counter += 1
        return "%s%d" % (start, self.counter)

    # -- the beginning ---------------------------------------------------------

    def setup(self):
        """Statements that make the first tables."""
        rng, result = self.rng, []
        for _ in range(self.profile.table_count):
            result += self.new_table()
        if self.profile.deep:
            result.append("CREATE TABLE deep(id INTEGER PRIMARY KEY, v TEXT, n INT)")
            if rng.random() < 0.5:
                result.append("CREATE INDEX deep_v ON deep(v)")
            result.append(
                "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE"
                " i < %d) INSERT INTO deep SELECT i, 'row ' || i || ' ' ||"
                " substr(hex(i * 7919), 1, %d), i %% 97 FROM c" % (
                    rng.randrange(1500, 5000), rng.randrange(4, 60)))
        if self.profile.virtual_tables:
            result.append("CREATE VIRTUAL TABLE search USING fts5(title, body)")
            result.append("INSERT INTO search VALUES ('one', 'two three')")
        if rng.random() < 0.3:
            result.append("CREATE VIEW seen AS SELECT name FROM sqlite_schema")
        return result

    def new_table(self):
        rng = self.rng
        if rng.random() < 0.15:
            return shapes.family(self.name("f"), rng.choice(shapes.FAMILIES))
        shape = rng.choice(shapes.SHAPE_NAMES)
        if self.profile.page_size < 1024 and shape == "wide" and rng.random() < 0.5:
            shape = "no_key"
        start = rng.choice(["t", "t", "T", "tbl_", "Zed", "a b", "Weird-Täble x.$"])
        return shapes.statements(shape, self.name(start), rng)

    # -- choosing --------------------------------------------------------------

    def pick_table(self, filled=False):
        tables = [t for t in self.state.tables.values()
                  if t.schema.select and (t.rows or not filled)]
        return self.rng.choice(tables) if tables else None

    def row_of(self, table, row):
        """(WHERE text, parameters) that finds this row."""
        schema = table.schema
        if schema.rowid_name and not schema.without_rowid and self.rng.random() < 0.8:
            return "%s = ?" % schema.rowid_name, [row[0]]
        columns = schema.key or range(len(schema.names))
        parts, params = [], []
        for i in columns:
            value = row[i + 1]
            if isinstance(value, str):
                try:
                    value.encode()
                except UnicodeEncodeError:
                    value = BrokenText(value.encode("utf-8", "surrogateescape"))
            mark, param = bind(value)
            parts.append("%s IS %s" % (quote(schema.names[i]), mark))
            params.append(param)
        return " AND ".join(parts[:30]), params[:30]

    def some_rows(self, table):
        """A WHERE clause over any number of rows."""
        rng, schema = self.rng, table.schema
        draw = rng.random()
        if table.rows and draw < 0.7:
            return self.row_of(table, rng.choice(table.rows))
        if schema.rowid_name and not schema.without_rowid:
            if draw < 0.8:
                n = rng.randrange(2, 9)
                return "%s %% ? = ?" % schema.rowid_name, [n, rng.randrange(n)]
            if table.rows and draw < 0.9:
                low = rng.choice(table.rows)[0]
                return ("%s BETWEEN ? AND ?" % schema.rowid_name,
                        [low, low + rng.randrange(60)])
        column = quote(rng.choice(schema.names))
        return "%s %s ?" % (column, rng.choice(["<", ">=", "IS NOT"])), [
            self.safe(self.values.any())]

    @staticmethod
    def safe(value):
        return bytes(value) if isinstance(value, BrokenText) else value

    def plain_columns(self, schema):
        return [c for c in schema.columns if not c.is_generated]

    def value_for(self, schema, column):
        rng = self.rng
        if (column.pk and schema.integer_key() is not None) or (
                column.pk and "INT" in column.decl.upper() and rng.random() < 0.9):
            draw = rng.random()
            if draw < 0.3 and not schema.without_rowid:
                return None
            if draw < 0.9:
                return rng.randrange(1, 300)
            return rng.choice([0, -1, -5, 2**31, 2**40, 2**62, -2**63])
        if column.pk and rng.random() < 0.6:
            kind = column.decl.upper()
            if "TEXT" in kind:
                return rng.choice("abcdeABCDE") * rng.randrange(1, 4)
            return rng.choice([rng.randrange(40), str(rng.randrange(40)), b"k", 1.5])
        value = self.values.of_column(column.decl, schema.strict)
        if column.pk and has_own_collation(schema):
            return self.safe(value)
        return value

    # -- statements ------------------------------------------------------------

    def insert(self, table=None, count=None):
        rng = self.rng
        table = table or self.pick_table()
        if table is None:
            return []
        schema = table.schema
        if count is None:
            count = rng.choice([1, 1, 1, 1, 2, 3, 8, 40])
        if len(table.rows) > self.limit:
            return self.delete(table)
        steps = []
        for _ in range(count):
            columns = [c for c in self.plain_columns(schema) if rng.random() < 0.88]
            names = [quote(c.name) for c in columns]
            marks, params = [], []
            for column in columns:
                mark, param = bind(self.value_for(schema, column))
                marks.append(mark)
                params.append(param)
            if (not schema.without_rowid and schema.integer_key() is None
                    and schema.rowid_name and rng.random() < 0.15):
                names.append(schema.rowid_name)
                marks.append("?")
                params.append(rng.choice([rng.randrange(1, 80), -3, 2**33]))
            verb = rng.choice(["INSERT", "INSERT", "INSERT", "INSERT OR REPLACE",
                               "INSERT OR IGNORE", "REPLACE"])
            tail = ""
            if not names:
                sql = "%s INTO %s DEFAULT VALUES" % (verb, quote(schema.name))
            else:
                if schema.key and rng.random() < 0.15:
                    verb = "INSERT"
                    others = [c for c in columns if not c.pk]
                    if others:
                        name = quote(rng.choice(others).name)
                        tail = " ON CONFLICT DO UPDATE SET %s = excluded.%s" % (
                            name, name)
                    else:
                        tail = " ON CONFLICT DO NOTHING"
                sql = "%s INTO %s(%s) VALUES (%s)%s" % (
                    verb, quote(schema.name), ", ".join(names), ", ".join(marks), tail)
            steps.append(("x", sql, params))
        return steps

    def bulk_insert(self):
        """Many rows by one statement, so that trees grow and split."""
        rng = self.rng
        table = self.pick_table()
        if table is None or len(table.rows) > self.limit:
            return self.delete()
        schema = table.schema
        columns = [c for c in self.plain_columns(schema)][:12]
        count = rng.choice([30, 100, 250]) if self.profile.page_size < 16384 else 60
        start = rng.randrange(1000)
        exprs = []
        for column in columns:
            kind = column.decl.upper()
            if column.pk:
                exprs.append("i * %d" % rng.choice([1, 3, -1]))
            elif "INT" in kind:
                exprs.append("i * i")
            elif "REAL" in kind or "FLO" in kind:
                exprs.append("i / 8.0")
            elif "BLOB" in kind:
                exprs.append("zeroblob(i %% %d)" % rng.choice([5, 90]))
            else:
                exprs.append("printf('%%.*c', i %% %d, 'x') || i"
                             % rng.choice([7, 60, 200]))
        sql = ("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE"
               " i < %d) INSERT OR IGNORE INTO %s(%s) SELECT %s FROM n" % (
                   start, start + count, quote(schema.name),
                   ", ".join(quote(c.name) for c in columns), ", ".join(exprs)))
        return [("x", sql)]

    def update(self, table=None):
        rng = self.rng
        table = table or self.pick_table(filled=True)
        if table is None:
            return self.insert()
        schema = table.schema
        columns = self.plain_columns(schema)
        chosen = [c for c in columns if not c.pk]
        if not chosen or rng.random() < 0.12:
            chosen = columns
        chosen = rng.sample(chosen, min(len(chosen), rng.choice([1, 1, 1, 2, 5])))
        parts, params = [], []
        for column in chosen:
            name = quote(column.name)
            draw = rng.random()
            if draw < 0.12:
                parts.append("%s = %s" % (name, name))
                continue
            if draw < 0.2 and self.profile.encoding == "UTF-8":
                parts.append("%s = %s || 'x'" % (name, name))
                continue
            mark, param = bind(self.value_for(schema, column))
            parts.append("%s = %s" % (name, mark))
            params.append(param)
        if (not schema.without_rowid and schema.rowid_name and rng.random() < 0.05):
            parts.append("%s = %s + %d" % (schema.rowid_name, schema.rowid_name,
                                           rng.choice([1, 1000, -7])))
        where, more = self.some_rows(table)
        verb = rng.choice(["UPDATE"] * 4 + ["UPDATE OR REPLACE", "UPDATE OR IGNORE"])
        return [("x", "%s %s SET %s WHERE %s" % (
            verb, quote(schema.name), ", ".join(parts), where), params + more)]

    def same_size_update(self):
        """Overwrites bytes deep inside a large value: at times only an overflow page
        changes."""
        rng = self.rng
        candidates = []
        for table in self.state.tables.values():
            schema = table.schema
            if schema.without_rowid and rng.random() < 0.5:
                continue
            if not schema.select:
                continue
            for row in table.rows[:200]:
                for i, column in enumerate(schema.columns):
                    value = row[i + 1]
                    if (isinstance(value, (bytes, str)) and not column.is_generated
                            and len(value) > self.profile.page_size // 2
                            and not column.pk):
                        candidates.append((table, row, i))
        if not candidates:
            return self.make_large()
        table, row, i = rng.choice(candidates)
        schema, value = table.schema, row[i + 1]
        name = quote(schema.names[i])
        if (isinstance(value, bytes) and not schema.without_rowid and rng.random() < 0.5
                and not any(c.is_generated for c in schema.columns)):
            # (SQLite leaves indexes of generated columns as they were.)
            offset = rng.randrange(len(value) - 8)
            return [("blob", schema.name, schema.names[i], row[0], offset,
                     self.values.bytes(rng.randrange(1, 9)))]
        offset = rng.randrange(len(value) - 8)
        if isinstance(value, bytes):
            patched = value[:offset] + self.values.bytes(8) + value[offset + 8:]
        elif value.isascii():
            patched = value[:offset] + "PATCHED!" + value[offset + 8:]
        else:
            return self.update(table)
        where, params = self.row_of(table, row)
        return [("x", "UPDATE %s SET %s = ? WHERE %s" % (
            quote(schema.name), name, where), [patched] + params)]

    def make_large(self):
        rng = self.rng
        table = self.pick_table(filled=True)
        if table is None:
            return self.insert()
        schema = table.schema
        columns = [c for c in self.plain_columns(schema) if not c.pk]
        if not columns:
            return self.update(table)
        column = rng.choice(columns)
        pages = rng.randrange(1, 12) if self.profile.page_size <= 8192 else 2
        size = self.profile.page_size * pages + rng.randrange(100)
        value = self.values.bytes(size) if rng.random() < 0.6 else "large text " * (size // 11)
        where, params = self.row_of(table, rng.choice(table.rows))
        return [("x", "UPDATE %s SET %s = ? WHERE %s" % (
            quote(schema.name), quote(column.name), where), [value] + params)]

    def delete(self, table=None):
        rng = self.rng
        table = table or self.pick_table(filled=True)
        if table is None:
            return self.insert()
        name = quote(table.schema.name)
        draw = rng.random()
        if draw < 0.06:
            return [("x", "DELETE FROM %s" % name)]
        if draw < 0.16 and table.schema.rowid_name and not table.schema.without_rowid:
            rowid = table.schema.rowid_name
            return [("x", "DELETE FROM %s WHERE %s > (SELECT avg(%s) FROM %s)" % (
                name, rowid, rowid, name))]
        where, params = self.some_rows(table)
        return [("x", "DELETE FROM %s WHERE %s" % (name, where), params)]

    def reuse_rowid(self):
        """Deletes the highest row and inserts: another row under the same rowid."""
        table = self.pick_table(filled=True)
        if table is None or table.schema.without_rowid or not table.schema.rowid_name:
            return self.insert()
        name, rowid = quote(table.schema.name), table.schema.rowid_name
        return [("x", "DELETE FROM %s WHERE %s = (SELECT max(%s) FROM %s)" % (
            name, rowid, rowid, name))] + self.insert(table, 1)

    def change_key(self):
        rng = self.rng
        tables = [t for t in self.state.tables.values()
                  if t.schema.key and t.rows and t.schema.select]
        if not tables:
            return self.update()
        table = rng.choice(tables)
        schema = table.schema
        column = schema.columns[rng.choice(schema.key)]
        if column.is_generated:
            return self.update(table)
        mark, param = bind(self.value_for(schema, column))
        where, params = self.row_of(table, rng.choice(table.rows))
        return [("x", "UPDATE %s SET %s = %s WHERE %s" % (
            quote(schema.name), quote(column.name), mark, where), [param] + params)]

    def swap_keys(self):
        """Two rows exchange their keys (through a third value)."""
        rng = self.rng
        tables = [t for t in self.state.tables.values()
                  if len(t.schema.key) == 1 and len(t.rows) > 1 and t.schema.select
                  and not t.schema.columns[t.schema.key[0]].is_generated]
        if not tables:
            return self.update()
        table = rng.choice(tables)
        schema = table.schema
        i = schema.key[0]
        a, b = rng.sample(table.rows, 2)
        for value in (a[i + 1], b[i + 1]):
            if value is None or (isinstance(value, str) and not value.isascii()):
                return self.update(table)
        column = quote(schema.names[i])
        spare = -987654 if schema.integer_key() is not None else "spare key"
        sql = "UPDATE %s SET %s = ? WHERE %s IS ?" % (quote(schema.name), column, column)
        return [("x", sql, [spare, a[i + 1]]), ("x", sql, [a[i + 1], b[i + 1]]),
                ("x", sql, [b[i + 1], spare])]

    def move_rows(self):
        """Rows go from one table to another, and with them perhaps their pages."""
        a, b = self.pick_table(filled=True), self.pick_table()
        if a is None or b is None or a is b or has_own_collation(b.schema):
            return self.insert()
        ours = self.plain_columns(a.schema)
        theirs = self.plain_columns(b.schema)
        count = min(len(ours), len(theirs))
        return [("x", "INSERT OR IGNORE INTO %s(%s) SELECT %s FROM %s" % (
            quote(b.schema.name), ", ".join(quote(c.name) for c in theirs[:count]),
            ", ".join(quote(c.name) for c in ours[:count]), quote(a.schema.name))),
            ("x", "DELETE FROM %s" % quote(a.schema.name))]

    def net_zero(self):
        """Changes that cancel inside their transaction."""
        table = self.pick_table(filled=True)
        if table is None or not table.schema.rowid_name or table.schema.without_rowid:
            return self.insert()
        name, rowid = quote(table.schema.name), table.schema.rowid_name
        highest = max(r[0] for r in table.rows)
        return (self.insert(table, 2) + [
            ("x", "DELETE FROM %s WHERE %s > ?" % (name, rowid), [highest])])

    def search_table(self):
        if not self.profile.virtual_tables:
            return self.update()
        return [("x", "INSERT INTO search VALUES (?, ?)",
                 ["title %d" % self.rng.randrange(99), "word " * self.rng.randrange(50)])]

    DML = [("insert", 30), ("update", 26), ("delete", 12), ("same_size_update", 10),
           ("reuse_rowid", 4), ("change_key", 9), ("swap_keys", 4), ("move_rows", 2),
           ("net_zero", 2), ("bulk_insert", 4), ("make_large", 3), ("search_table", 1)]

    def dml(self):
        names = [n for n, _ in self.DML]
        weights = [w for _, w in self.DML]
        return getattr(self, self.rng.choices(names, weights)[0])()

    # -- schema changes --------------------------------------------------------

    def column_definition(self, strict):
        rng = self.rng
        name = self.name("c")
        if strict:
            return name, rng.choice(["%s INT", "%s TEXT DEFAULT 'st'", "%s ANY DEFAULT 5",
                                     "%s REAL DEFAULT 3", "%s BLOB DEFAULT x'0102'"]) % name
        return name, rng.choice([
            "%s", "%s INT DEFAULT 5", "%s TEXT DEFAULT 'it''s'", "%s REAL DEFAULT 3",
            "%s NUMERIC DEFAULT '12'", "%s BLOB DEFAULT x'00ff'", "%s INT DEFAULT '7'",
            "%s TEXT NOT NULL DEFAULT ''", "%s TEXT DEFAULT 12", "%s DEFAULT -1.5e3",
            "%s INT DEFAULT -9223372036854775808", "%s DEFAULT TRUE", "%s DEFAULT NULL",
            "%s DEFAULT 9223372036854775808", "%s TEXT DEFAULT 'ünï'",
            "%s INT AS (12 * 2) VIRTUAL", "%s VARCHAR(9) COLLATE NOCASE DEFAULT 'N'",
        ]) % name

    def add_column(self, table):
        if len(table.schema.columns) > 40 and self.rng.random() < 0.7:
            return []
        _, definition = self.column_definition(table.schema.strict)
        return ["ALTER TABLE %s ADD COLUMN %s" % (quote(table.schema.name), definition)]

    def drop_column(self, table):
        column = self.rng.choice(table.schema.columns)
        return ["ALTER TABLE %s DROP COLUMN %s" % (
            quote(table.schema.name), quote(column.name))]

    def rename_column(self, table):
        column = self.rng.choice(table.schema.columns)
        return ["ALTER TABLE %s RENAME COLUMN %s TO %s" % (
            quote(table.schema.name), quote(column.name), self.name("r"))]

    def rename_table(self, table):
        return ["ALTER TABLE %s RENAME TO %s" % (
            quote(table.schema.name), quote(self.name(self.rng.choice(["n", "A", "zz"]))))]

    def drop_table(self, table):
        if len(self.state.tables) < 3:
            return []
        return ["DROP TABLE %s" % quote(table.schema.name)]

    def create_index(self, table):
        rng = self.rng
        columns = rng.sample(table.schema.names, min(2, len(table.schema.names)))
        where = " WHERE %s IS NOT NULL" % quote(columns[0]) if rng.random() < 0.3 else ""
        return ["CREATE INDEX %s ON %s(%s)%s" % (
            self.name("ix"), quote(table.schema.name),
            ", ".join(quote(c) for c in columns), where)]

    def drop_index(self, table):
        return ["DROP INDEX IF EXISTS ix%d" % self.rng.randrange(1, self.counter + 1)]

    def create_as(self, table):
        return ["CREATE TABLE %s AS SELECT * FROM %s" % (
            quote(self.name("cta")), quote(table.schema.name))]

    def reindex(self, table):
        return [self.rng.choice(["REINDEX", "ANALYZE"])]

    def copied_definition(self, table, name, more=""):
        """The CREATE statement of a table like this one, under another name."""
        sql = table.schema.sql
        start = sql.index("(")
        end = sql.rindex(")")
        return "CREATE TABLE %s%s%s%s" % (quote(name), sql[start:end], more, sql[end:])

    def rebuild(self, table):
        """The twelve steps by which applications change what ALTER TABLE cannot."""
        rng, schema = self.rng, table.schema
        columns = [quote(c.name) for c in self.plain_columns(schema)]
        more = ""
        if rng.random() < 0.4 and not re.search(r"\b(PRIMARY KEY|UNIQUE)\(", schema.sql):
            _, definition = self.column_definition(schema.strict)
            if " AS (" not in definition and "-1.5e3" not in definition:
                more = ", " + definition
        names = list(columns)
        if (not schema.without_rowid and schema.integer_key() is None
                and schema.rowid_name and rng.random() < 0.6):
            names.append(schema.rowid_name)
        fresh = self.name("new_")
        names = ", ".join(names)
        return [self.copied_definition(table, fresh, more),
                "INSERT INTO %s(%s) SELECT %s FROM %s" % (
                    quote(fresh), names, names, quote(schema.name)),
                "DROP TABLE %s" % quote(schema.name),
                "ALTER TABLE %s RENAME TO %s" % (quote(fresh), quote(schema.name))]

    def swap_names(self, table):
        same = [t for t in self.state.tables.values()
                if t is not table and t.schema.plan == table.schema.plan
                and t.schema.without_rowid == table.schema.without_rowid]
        if not same:
            return self.twin(table)
        other = self.rng.choice(same)
        a, b, spare = quote(table.schema.name), quote(other.schema.name), self.name("sw")
        return ["ALTER TABLE %s RENAME TO %s" % (a, spare),
                "ALTER TABLE %s RENAME TO %s" % (b, a),
                "ALTER TABLE %s RENAME TO %s" % (spare, b)]

    def twin(self, table):
        """A second table of the same columns, with most of the rows."""
        schema = table.schema
        if schema.sql.count("UNIQUE") and "integer" not in schema.sql.lower():
            return []
        fresh = self.name("tw")
        columns = ", ".join(quote(c.name) for c in self.plain_columns(schema))
        return [self.copied_definition(table, fresh),
                "INSERT INTO %s(%s) SELECT %s FROM %s" % (
                    quote(fresh), columns, columns, quote(schema.name)),
                "UPDATE OR IGNORE %s SET %s = 7 WHERE abs(random()) %% 3 = 0" % (
                    quote(fresh), quote(self.plain_columns(schema)[-1].name))
                if not schema.strict else "SELECT 1"]

    def recreate(self, table):
        """DROP and CREATE under one name in one transaction."""
        schema = table.schema
        return ["DROP TABLE %s" % quote(schema.name),
                self.copied_definition(table, schema.name)]

    def drop_and_create(self, table):
        """DROP of one, CREATE of another: reuses root page and schema rowid."""
        if len(self.state.tables) < 3:
            return []
        return ["DROP TABLE %s" % quote(table.schema.name)] + self.new_table()

    DDL = [("add_column", 12), ("drop_column", 8), ("rename_column", 6),
           ("rename_table", 6), ("drop_table", 5), ("create_index", 6), ("drop_index", 4),
           ("create_as", 3), ("reindex", 3), ("rebuild", 9), ("swap_names", 5),
           ("recreate", 3), ("drop_and_create", 3)]

    def schema_change(self):
        rng = self.rng
        steps, kinds = [], []
        count = rng.choice([1, 1, 1, 1, 2])
        mixed = rng.random() < 0.45
        for _ in range(count):
            table = self.pick_table()
            if table is None or len(self.state.tables) < 3 or rng.random() < 0.12:
                if len(self.state.tables) < 14:
                    kinds.append("create_table")
                    steps += [("x", s) for s in self.new_table()]
                    continue
            if table is None:
                continue
            kind = rng.choices([n for n, _ in self.DDL], [w for _, w in self.DDL])[0]
            statements = getattr(self, kind)(table)
            kinds.append(kind)
            if mixed and rng.random() < 0.5:
                steps += self.dml()
            steps += [("x", s) for s in statements]
            if mixed:
                again = self.renamed_insert(table, statements)
                steps += again if rng.random() < 0.5 else self.dml()
        if not steps:
            return Unit("read", [("x", "SELECT 1")])
        only_renames = not {"create_table", "create_as", "drop_and_create", "recreate",
                            "drop_table", "rebuild", "twin", "swap_names"} & set(kinds)
        only_renames = only_renames and not mixed and "drop_column" not in kinds
        if len(steps) == 1 and rng.random() < 0.5:
            return Unit("+".join(kinds), steps, only_renames=only_renames)
        return Unit("+".join(kinds), [("x", "BEGIN")] + steps + [("x", "COMMIT")],
                    strict=True, only_renames=only_renames)

    def change_all(self, table, name):
        """Statements after which no row of the table is as it was; it is called `name`
        by now."""
        rng, schema = self.rng, table.schema
        columns = [c for c in self.plain_columns(schema) if not c.pk]
        draw = rng.random()
        if draw < 0.3 or not columns:
            return ["DELETE FROM %s" % name]
        column = columns[-1]
        mark = rng.randrange(10**6)
        value = ("x'%08x'" if schema.strict and "BLOB" in column.decl.upper()
                 else "%d" if schema.strict and "TEXT" not in column.decl.upper()
                 else "'all %d'") % mark
        statements = ["UPDATE OR IGNORE %s SET %s = %s" % (
            name, quote(column.name), value)]
        if draw < 0.45:
            statements.append("DELETE FROM %s WHERE abs(random()) %% 2 = 0" % name)
        return statements

    def rename_and_change(self):
        """RENAME beside a change of every row, in either order, and with other changes
        of the schema before, between and after."""
        rng = self.rng
        table = self.pick_table(filled=rng.random() < 0.9)
        if table is None:
            return self.schema_change()
        first = quote(table.schema.name)
        names = [first] + [quote(self.name(rng.choice(["n", "A", "zz"])))
                           for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        if rng.random() < 0.1:
            names.append(quote(table.schema.name.swapcase()))
        statements = ["ALTER TABLE %s RENAME TO %s" % pair
                      for pair in zip(names, names[1:])]
        at = rng.randrange(len(names))
        statements[at:at] = self.change_all(table, names[at])
        last = names[-1]
        draw = rng.random()
        if draw < 0.12:
            statements.append("ALTER TABLE %s ADD COLUMN %s" % (
                last, self.column_definition(table.schema.strict)[1]))
        elif draw < 0.2:
            statements.append(self.copied_definition(table, table.schema.name))
        elif draw < 0.26:
            statements.append("ALTER TABLE %s DROP COLUMN %s" % (
                last, quote(rng.choice(table.schema.columns).name)))
        elif draw < 0.32:
            statements.append("CREATE INDEX %s ON %s(%s)" % (
                self.name("ix"), last, quote(table.schema.names[0])))
        other = self.pick_table()
        if rng.random() < 0.25 and other is not table:
            place = rng.randrange(len(statements) + 1)
            statements[place:place] = rng.choice(
                [self.drop_table, self.add_column, self.rename_table, self.recreate,
                 self.drop_and_create, self.create_index])(other)
        steps = [("x", s) for s in statements]
        if rng.random() < 0.3:
            steps += [(k, sql.replace(first, last), *rest)
                      for k, sql, *rest in self.insert(table, 2)]
        return Unit("rename and change", [("x", "BEGIN")] + steps + [("x", "COMMIT")],
                    strict=True)

    def renamed_insert(self, table, statements):
        """DML on a table whose name or columns this transaction has changed."""
        schema = table.schema
        name = quote(schema.name)
        for statement in statements:
            found = re.fullmatch(r"ALTER TABLE (.*) RENAME TO (.*)", statement)
            if found and found.group(1) == name:
                name = found.group(2)
            if statement == "DROP TABLE " + name and statements[-1] == statement:
                return []
        steps = []
        for kind, sql, *rest in self.insert(table, 1) + self.update(table):
            steps.append((kind, sql.replace(quote(schema.name), name), *rest))
        return steps

    # -- units -----------------------------------------------------------------

    def unit(self):
        """The next unit."""
        rng = self.rng
        if rng.random() < self.profile.ddl:
            return (self.rename_and_change() if rng.random() < 0.2
                    else self.schema_change())
        draw = rng.random()
        if draw < 0.35:
            steps = self.dml()
            if len(steps) == 1:
                return Unit("autocommit", steps)
            return Unit("transaction", [("x", "BEGIN")] + steps + [("x", "COMMIT")])
        steps = []
        for _ in range(rng.choice([1, 2, 2, 3, 5, 9])):
            if rng.random() < 0.12:
                steps += self.savepoint()
            else:
                steps += self.dml()
        begin = rng.choice(["BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT outermost"])
        end = "COMMIT"
        kind = "transaction"
        if begin.startswith("SAVEPOINT"):
            end = "RELEASE outermost"
        if rng.random() < 0.1:
            end, kind = "ROLLBACK", "rolled back"
        return Unit(kind, [("x", begin)] + steps + [("x", end)])

    def savepoint(self):
        rng = self.rng
        name = self.name("sp")
        inner = []
        for _ in range(rng.randrange(1, 4)):
            inner += self.dml()
        if rng.random() < 0.5:
            # A WAL with this in it need not survive a recovery (see Profile.crashes).
            if not self.profile.crashes:
                return [("x", "SAVEPOINT " + name)] + inner + [
                    ("x", "ROLLBACK TO " + name), ("x", "RELEASE " + name)]
        return [("x", "SAVEPOINT " + name)] + inner + [("x", "RELEASE " + name)]

    def table_names(self):
        return sorted(ascii_lower(t.schema.name) for t in self.state.tables.values())

"""The whole content of a database, read by SQL, one committed state at a time.

Values keep SQLite's storage class: None, int, float, str, bytes. Text that is not
valid UTF-8 is kept in a str with surrogate escapes, so no byte is lost.
"""

import marshal
import sqlite3


def ascii_lower(name):
    return name.translate(_LOWER)


_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def exact(values):
    """Bytes that are equal only for equal storage classes and equal values.

    Python holds 1 == 1.0 and 0.0 == -0.0; SQLite's records and our events do not.
    """
    return marshal.dumps(values, 0)


def lossless_text(data):
    return data.decode("utf-8", "surrogateescape")


class Column:
    """One column as PRAGMA table_xinfo tells it."""

    __slots__ = ("name", "decl", "notnull", "dflt", "pk", "hidden")

    def __init__(self, name, decl, notnull, dflt, pk, hidden):
        self.name = name
        self.decl = decl
        self.notnull = notnull
        self.dflt = dflt
        self.pk = pk
        self.hidden = hidden

    @property
    def is_virtual(self):
        return self.hidden == 2

    @property
    def is_generated(self):
        return self.hidden in (2, 3)

    def declaration(self):
        return (self.decl.upper(), self.notnull, self.dflt, self.pk, self.hidden)


class TableSchema:
    """What the schema says of one table."""

    def __init__(self, name, sql, columns, without_rowid, strict, tree_order=()):
        self.name = name
        self.sql = sql
        self.columns = columns
        self.without_rowid = without_rowid
        self.strict = strict
        self.names = [c.name for c in columns]
        by_position = sorted((c.pk, i) for i, c in enumerate(columns) if c.pk)
        self.key = [i for _, i in by_position]
        self.rowid_name = next(
            (r for r in ("rowid", "_rowid_", "oid")
             if r not in {ascii_lower(n) for n in self.names}), None)
        self.plan = exact([c.declaration() + (c.name,) for c in columns])
        if without_rowid:
            self.select = "SELECT NULL, * FROM main.%s ORDER BY %s" % (
                quote(name), ", ".join(tree_order))
        elif self.rowid_name:
            self.select = "SELECT %s, * FROM main.%s NOT INDEXED ORDER BY 1" % (
                self.rowid_name, quote(name))
        else:
            self.select = None
        self.ordered = True     # the order of rows inside the table can be known

    def key_of(self, row):
        """The row's primary key, or None where it has none (or a NULL in it)."""
        if not self.key:
            return None
        key = tuple(row[i] for i in self.key)
        return None if None in key else key

    def integer_key(self):
        """The index of an INTEGER PRIMARY KEY column, else None."""
        if len(self.key) != 1 or self.without_rowid:
            return None
        i = self.key[0]
        return i if self.columns[i].decl.upper() == "INTEGER" else None


class TableState:
    """A table's rows in one state: a list of (rowid or None, col, col, …)."""

    __slots__ = ("schema", "rows", "exact")

    def __init__(self, schema, rows, exact_rows):
        self.schema = schema
        self.rows = rows
        self.exact = exact_rows


class SchemaRow:
    """A row of sqlite_schema."""

    __slots__ = ("rowid", "kind", "name", "table", "root", "sql")

    def __init__(self, rowid, kind, name, table, root, sql):
        self.rowid = rowid
        self.kind = kind
        self.name = ascii_lower(name)
        self.table = ascii_lower(table)
        self.root = root
        self.sql = sql

    def all(self):
        return (self.rowid, self.kind, self.name, self.table, self.root, self.sql)


class State:
    """tables: lower-case name -> TableState. cookie: PRAGMA schema_version.
    schema: (kind, lower-case name) -> SchemaRow. auto_vacuum: the PRAGMA."""

    __slots__ = ("tables", "cookie", "schema", "auto_vacuum")

    def __init__(self, tables, cookie, schema=None, auto_vacuum=0):
        self.tables = tables
        self.cookie = cookie
        self.schema = schema or {}
        self.auto_vacuum = auto_vacuum


class StateReader:
    """Reads states over one connection of its own.

    Never opens the file in another way: closing any other descriptor on it would
    drop this process's locks.
    """

    def __init__(self, path, setup=None):
        self.path = path
        self.setup = setup
        self.db = None
        self.cookie = None
        self.schemas = {}
        self.schema_rows = {}
        self.auto_vacuum = 0
        self.odd_text = set()
        self.previous = {}
        self.apart = None           # a table whose rows are no part of the state

    def open(self):
        self.db = sqlite3.connect(self.path, isolation_level=None, timeout=20)
        if self.setup:
            self.setup(self.db)
        self.cookie = None

    def close(self):
        if self.db:
            self.db.close()
            self.db = None

    def _read_schemas(self):
        schemas = {}
        listed = self.db.execute("PRAGMA main.table_list").fetchall()
        sql = dict(self.db.execute(
            "SELECT name, sql FROM main.sqlite_schema WHERE type = 'table'"))
        for _, name, kind, _, without_rowid, strict in listed:
            if (kind != "table" or ascii_lower(name).startswith("sqlite_")
                    or name == self.apart):
                continue
            columns = [Column(*row[1:]) for row in self.db.execute(
                "PRAGMA main.table_xinfo(%s)" % quote(name)) if row[6] != 1]
            schemas[ascii_lower(name)] = TableSchema(
                name, sql[name], columns, bool(without_rowid), bool(strict),
                self._tree_order(name) if without_rowid else ())
        return schemas

    def _tree_order(self, name):
        """Terms that sort a WITHOUT ROWID table as its tree does."""
        index = next(row[1] for row in self.db.execute(
            "PRAGMA main.index_list(%s)" % quote(name)) if row[3] == "pk")
        return ["%s COLLATE %s%s" % (quote(column), quote(collation),
                                     " DESC" if descending else "")
                for _, _, column, descending, collation, is_key in self.db.execute(
                    "PRAGMA main.index_xinfo(%s)" % quote(index)) if is_key]

    def _rows(self, name, schema):
        if name not in self.odd_text:
            try:
                return self.db.execute(schema.select).fetchall()
            except (sqlite3.OperationalError, SystemError) as problem:
                if "ecode" not in str(problem):
                    raise
                self.odd_text.add(name)
        self.db.text_factory = lossless_text
        try:
            return self.db.execute(schema.select).fetchall()
        finally:
            self.db.text_factory = str

    def read(self):
        """The state committed now."""
        self.db.execute("BEGIN")
        try:
            cookie = self.db.execute("PRAGMA main.schema_version").fetchone()[0]
            if cookie != self.cookie:
                self.schemas = self._read_schemas()
                rows = [SchemaRow(*row) for row in self.db.execute(
                    "SELECT rowid, type, name, tbl_name, rootpage, sql"
                    " FROM main.sqlite_schema")]
                self.schema_rows = {(r.kind, r.name): r for r in rows}
                self.auto_vacuum = self.db.execute(
                    "PRAGMA main.auto_vacuum").fetchone()[0]
                self.cookie = cookie
            tables = {}
            for name, schema in self.schemas.items():
                if schema.select is None:
                    continue            # its rowid has no name left
                rows = self._rows(name, schema)
                packed = exact(rows)
                before = self.previous.get(name)
                if before and before.schema is schema and before.exact == packed:
                    tables[name] = before   # shares memory, and says: nothing changed
                else:
                    tables[name] = TableState(schema, rows, packed)
            self.previous = tables
            return State(tables, cookie, self.schema_rows, self.auto_vacuum)
        finally:
            self.db.execute("COMMIT")


_defaults = {}


def column_default(column, strict=False):
    """The value that a row written before the column was added shows for it."""
    if column.dflt is None:
        return None
    key = (column.decl, column.dflt, strict)
    if key not in _defaults:
        # Not the same as what an INSERT stores: DEFAULT -1.5e3 in a column without
        # type is -1500.0 in a new row, -1500 in one that lacks the column.
        db = sqlite3.connect(":memory:")
        db.execute("CREATE TABLE t(x INT)" + (" STRICT" if strict else ""))
        db.execute("INSERT INTO t VALUES (1)")
        db.execute("ALTER TABLE t ADD COLUMN c %s DEFAULT %s" % (column.decl, column.dflt))
        _defaults[key] = db.execute("SELECT c FROM t").fetchone()[0]
        db.close()
    return _defaults[key]


def read_state(path, setup=None):
    """The committed rows now; no connection stays open."""
    reader = StateReader(path, setup)
    reader.open()
    try:
        return reader.read()
    finally:
        reader.close()

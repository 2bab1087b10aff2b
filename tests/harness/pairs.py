"""Random pairs of databases: one, and what became of a copy of it."""

import random
import shutil
import sqlite3

from oracle.values import BrokenText, Values

from .state import lossless_text, quote

PAGE_SIZES = [512, 1024, 4096, 65536]

# What stands behind CREATE TABLE NAME, and the columns that may be given.
SHAPES = [
    ("(id INTEGER PRIMARY KEY, a, b)", ["a", "b"]),
    ("(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b REAL)", ["a", "b"]),
    ("(id INTEGER PRIMARY KEY, u UNIQUE, a)", ["u", "a"]),
    ("(k TEXT PRIMARY KEY, a)", ["k", "a"]),
    ("(k, l INT, a, PRIMARY KEY (k, l)) WITHOUT ROWID", ["k", "l", "a"]),
    ("(k TEXT PRIMARY KEY COLLATE NOCASE, u UNIQUE, a) WITHOUT ROWID", ["k", "u", "a"]),
    ("(a, b NUMERIC)", ["a", "b"]),
    ("(a, b, g AS (typeof(a) || '!'), s INT AS (length(b)) STORED)", ["a", "b"]),
    ("(rowid TEXT, _rowid_ BLOB, a REAL)", ["rowid", "_rowid_", "a"]),
    ("(rowid, _rowid_, oid, a)", ["rowid", "oid", "a"]),
    ("(id INTEGER PRIMARY KEY, a INT, b TEXT, CONSTRAINT x UNIQUE (b, a))", ["a", "b"]),
]
NAMES = ["t", "select", "a b", 'q"q', "it's", "Ünï", "x]y", "-1", "k9"]
INDEXES = ["CREATE INDEX {i} ON {t} (a)", "CREATE UNIQUE INDEX {i} ON {t} (a)",
           "CREATE UNIQUE INDEX {i} ON {t} (a, length(a)) WHERE a > 5"]


class Pair:
    """Two files, `old` and `new`."""

    def __init__(self, folder, seed, schema_changes=True, page_size_changes=True):
        self.rng = random.Random(seed)
        self.seed = seed
        self.old = "%s/old%d.db" % (folder, seed)
        self.new = "%s/new%d.db" % (folder, seed)
        self.tables = {}  # name -> columns
        self.made = 0
        self.page_size = self.rng.choice(PAGE_SIZES)
        self.utf16 = self.rng.random() < 0.15
        self.values = Values(self.rng, self.page_size, not self.utf16)
        self.wal = self.rng.random() < 0.5
        self.begin()
        self.end(schema_changes, page_size_changes)

    def begin(self):
        db = sqlite3.connect(self.old, isolation_level=None)
        db.text_factory = lossless_text
        db.execute("PRAGMA page_size=%d" % self.page_size)
        db.execute("PRAGMA auto_vacuum=%d" % self.rng.choice([0, 0, 1, 2]))
        db.execute("PRAGMA encoding='%s'" % (
            self.rng.choice(["UTF-16le", "UTF-16be"]) if self.utf16 else "UTF-8"))
        db.execute("PRAGMA journal_mode=%s" % ("WAL" if self.wal else "DELETE"))
        db.execute("BEGIN")
        for _ in range(self.rng.randrange(1, 5)):
            self.create(db)
        for name in list(self.tables):
            for _ in range(self.rng.choice([0, 3, 40, 200])):
                self.insert(db, name)
        db.execute("COMMIT")
        db.close()

    def end(self, schema_changes, page_size_changes):
        rng = self.rng
        shutil.copy(self.old, self.new)
        db = sqlite3.connect(self.new, isolation_level=None)
        db.text_factory = lossless_text
        db.execute("BEGIN")
        for _ in range(rng.choice([0, 1, 5, 60, 200])):
            if self.tables:
                self.change(db, rng.choice(list(self.tables)))
        if schema_changes and rng.random() < 0.4:
            self.change_schema(db)
        db.execute("COMMIT")
        if rng.random() < 0.15:
            db.execute("VACUUM")
        if page_size_changes and rng.random() < 0.15:
            db.execute("PRAGMA journal_mode=DELETE")
            db.execute("PRAGMA page_size=%d" % rng.choice(PAGE_SIZES))
            db.execute("PRAGMA auto_vacuum=%d" % rng.choice([0, 1]))
            db.execute("VACUUM")
        db.close()

    def run(self, db, sql, values=()):
        """True: it was done; constraints that say no are no matter."""
        try:
            db.execute(sql, values)
        except sqlite3.IntegrityError:
            return False
        return True

    def value(self):
        draw = self.rng.random()
        if draw < 0.1:
            return None
        if draw < 0.4:
            return self.values.integer()
        if draw < 0.6:
            return self.values.real()
        if draw < 0.9:
            return self.values.text()
        return self.rng.choice([b"", b"\0\xff", self.rng.randbytes(self.values.length())])

    def place(self, value):
        return "CAST(? AS TEXT)" if isinstance(value, BrokenText) else "?"

    def create(self, db, name=None):
        free = [n for n in NAMES if n not in self.tables]
        name = name or self.rng.choice(free)
        shape, columns = self.rng.choice(SHAPES)
        db.execute("CREATE TABLE %s %s" % (quote(name), shape))
        self.tables[name] = columns
        if self.rng.random() < 0.3:
            self.index(db, name)

    def index(self, db, name):
        self.made += 1
        self.run(db, self.rng.choice(INDEXES).format(
            i=quote("i%d %s" % (self.made, name)), t=quote(name)))

    def insert(self, db, name):
        columns = self.tables[name]
        values = [self.value() for _ in columns]
        self.run(db, "INSERT INTO %s (%s) VALUES (%s)" % (
            quote(name), ", ".join(map(quote, columns)),
            ", ".join(map(self.place, values))), values)

    def some(self, db, name):
        """A condition that a row or a few meet."""
        columns = self.tables[name]
        rows = db.execute("SELECT hex(CAST(%s AS BLOB)) FROM %s" % (
            quote(columns[0]), quote(name))).fetchall()
        return "hex(CAST(%s AS BLOB)) = '%s'" % (
            quote(columns[0]), self.rng.choice(rows)[0]) if rows else "0"

    def change(self, db, name):
        draw = self.rng.random()
        columns = self.tables[name]
        if draw < 0.35:
            self.insert(db, name)
        elif draw < 0.6:
            self.run(db, "DELETE FROM %s WHERE %s" % (quote(name), self.some(db, name)))
        elif draw < 0.7:
            self.swap(db, name)
        elif draw < 0.72:
            self.run(db, "DELETE FROM %s" % quote(name))
        else:
            column, value = self.rng.choice(columns), self.value()
            self.run(db, "UPDATE %s SET %s = %s WHERE %s" % (
                quote(name), quote(column), self.place(value), self.some(db, name)),
                [value])

    def swap(self, db, name):
        """Two rows exchange the values of a column, which may be unique."""
        columns = self.tables[name]
        column = quote(self.rng.choice(columns))
        key = "id" if "id" not in columns else None
        rows = []
        try:
            rows = db.execute("SELECT id, %s FROM %s WHERE typeof(%s) <> 'text' ORDER BY "
                              "id LIMIT 2" % (column, quote(name), column)).fetchall()
        except sqlite3.OperationalError:
            key = None  # no such column
        if key and len(rows) == 2:
            sql = "UPDATE %s SET %s = ? WHERE id = ?" % (quote(name), column)
            db.execute("SAVEPOINT s")
            done = (self.run(db, sql, [b"between", rows[0][0]])
                    and self.run(db, sql, [rows[0][1], rows[1][0]])
                    and self.run(db, sql, [rows[1][1], rows[0][0]]))
            db.execute("RELEASE s" if done else "ROLLBACK TO s")
            if not done:
                db.execute("RELEASE s")

    def change_schema(self, db):
        rng = self.rng
        name = rng.choice(list(self.tables))
        draw = rng.random()
        if draw < 0.25:
            db.execute("DROP TABLE %s" % quote(name))
            del self.tables[name]
        elif draw < 0.5:
            self.create(db)
        elif draw < 0.65:
            db.execute("ALTER TABLE %s ADD COLUMN z DEFAULT 'new'" % quote(name))
        elif draw < 0.75:
            db.execute("ALTER TABLE %s RENAME TO renamed" % quote(name))
        elif draw < 0.9:
            self.index(db, name)
        else:
            db.execute("DROP TABLE %s" % quote(name))
            del self.tables[name]
            self.create(db, name)
        for other in list(self.tables):
            for _ in range(rng.randrange(3)):
                if other != name:
                    self.insert(db, other)


def tables_of(path):
    """name -> (sql, rows): of each row its rowid, where it has one, and its values,
    exactly; SQLite's own tables but sqlite_sequence are left out."""
    db = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
    db.text_factory = lossless_text
    found = {}
    try:
        for name, sql in db.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND "
                "(name NOT LIKE 'sqlite_%' OR name = 'sqlite_sequence')").fetchall():
            columns = [row[1] for row in db.execute("PRAGMA table_xinfo(%s)" % quote(name))]
            lower = [c.lower() for c in columns]
            free = [r for r in ("rowid", "_rowid_", "oid") if r not in lower]
            shown = ["typeof({0}), hex(CAST({0} AS BLOB)), quote({0}), {0}".format(quote(c))
                     for c in columns]
            listed = db.execute("PRAGMA table_list(%s)" % quote(name)).fetchone()
            rowid = "NULL" if listed[4] or not free else free[0]
            rows = db.execute("SELECT %s, %s FROM %s" % (
                rowid, ", ".join(shown), quote(name))).fetchall()
            found[name] = (sql, sorted(rows, key=repr), columns)
    finally:
        db.close()
    return found

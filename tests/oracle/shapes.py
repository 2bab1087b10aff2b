"""Tables of every shape that SQLite knows, as CREATE statements."""

from harness.state import quote


def wide(name, rng):
    kinds = ["INT", "TEXT", "REAL", "BLOB", "NUMERIC", ""]
    columns = ["w%d %s" % (i, rng.choice(kinds)) for i in range(rng.randrange(60, 150))]
    return "CREATE TABLE %s(id INTEGER PRIMARY KEY, %s)" % (name, ", ".join(columns))


# Each takes the quoted name and says the statements that make the table.
SHAPES = {
    "integer_key": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, a, b TEXT, c REAL, d BLOB,"
                    " e NUMERIC)"],
    "integer_key_pair": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, a INT, b TEXT)"],
    "auto_increment": ["CREATE TABLE %s(id INTEGER PRIMARY KEY AUTOINCREMENT,"
                       " v TEXT DEFAULT 'none', w INT NOT NULL DEFAULT 7)"],
    "key_last": ["CREATE TABLE %s(a TEXT, b, id INTEGER PRIMARY KEY)"],
    "no_key": ["CREATE TABLE %s(a, b INT, c TEXT)"],
    "no_key_indexed": ["CREATE TABLE %s(a INT, b TEXT, c REAL)",
                       "CREATE INDEX %(i)s ON %(n)s(b, a)"],
    "one_column": ["CREATE TABLE %s(x)"],
    "text_key": ["CREATE TABLE %s(k TEXT PRIMARY KEY, v, w INT)"],
    "text_key_not_null": ["CREATE TABLE %s(v BLOB, k TEXT NOT NULL PRIMARY KEY, n INT)"],
    "nocase_key": ["CREATE TABLE %s(k TEXT COLLATE NOCASE PRIMARY KEY, v, w REAL)"],
    "composite_key": ["CREATE TABLE %s(a INT, b TEXT, v, w REAL,"
                      " PRIMARY KEY(b DESC, a))"],
    "desc_key": ["CREATE TABLE %s(id INTEGER PRIMARY KEY DESC, v TEXT, w)"],
    "desc_table_key": ["CREATE TABLE %s(id INTEGER, v TEXT, PRIMARY KEY(id DESC))"],
    "any_key": ["CREATE TABLE %s(k PRIMARY KEY, v)"],
    "tree_key": ["CREATE TABLE %s(k TEXT PRIMARY KEY, v, w INT) WITHOUT ROWID"],
    "tree_key_twice": ["CREATE TABLE %s(a TEXT, b, c INT,"
                       " PRIMARY KEY(a COLLATE NOCASE, a)) WITHOUT ROWID"],
    "tree_key_composite": ["CREATE TABLE %s(v TEXT, a INT, b REAL, w BLOB,"
                           " PRIMARY KEY(b DESC, a)) WITHOUT ROWID"],
    "tree_key_only": ["CREATE TABLE %s(a INT, b TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID"],
    "tree_key_integer": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, v BLOB, t TEXT)"
                         " WITHOUT ROWID"],
    "tree_key_unknown_collation": ["CREATE TABLE %s(k TEXT COLLATE backwards PRIMARY KEY,"
                                   " v) WITHOUT ROWID"],
    "unknown_collation": ["CREATE TABLE %s(k TEXT COLLATE backwards PRIMARY KEY, v INT)"],
    "strict": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, i INT, r REAL, t TEXT, b BLOB,"
               " x ANY) STRICT"],
    "strict_tree": ["CREATE TABLE %s(k ANY PRIMARY KEY, r REAL NOT NULL DEFAULT 2,"
                    " t TEXT) STRICT, WITHOUT ROWID"],
    "generated": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, a INT, s TEXT,"
                  " g1 AS (coalesce(a, 0) %% 1000 * 2), g2 TEXT AS (upper(s) || '!')"
                  " STORED, g3 INT AS (length(s)) VIRTUAL, z)"],
    "generated_first": ["CREATE TABLE %s(g AS (b), a TEXT, h TEXT AS (a || '-' || g),"
                        " b, st AS (typeof(b)) STORED)"],
    "generated_affinity": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, a,"
                           " r REAL AS (a), t TEXT AS (a), n NUMERIC AS (a) STORED,"
                           " i INT AS (g), g AS (a))"],
    "generated_tree": ["CREATE TABLE %s(g AS (v), k TEXT PRIMARY KEY, v, h TEXT AS (k)"
                       " STORED) WITHOUT ROWID"],
    "blobs": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, name TEXT, data BLOB)"],
    "blob_first": ["CREATE TABLE %s(data BLOB, a INT, more BLOB)"],
    "odd_names": ["CREATE TABLE %s(\"col-1 é\" INTEGER PRIMARY KEY, \"select\" TEXT,"
                  " \"a\"\"b\\c\", [x y] INT, `tick`)"],
    "column_named_rowid": ["CREATE TABLE %s(rowid TEXT, oid INT, v)"],
    "unique_columns": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, u INT UNIQUE, t TEXT,"
                       " UNIQUE(t, u))",
                       "CREATE INDEX %(i)s ON %(n)s(length(t)) WHERE u > 5"],
    "function_index": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, t TEXT, v)",
                       "CREATE INDEX %(i)s ON %(n)s(crc(t))"],
    "typed": ["CREATE TABLE %s(id INTEGER PRIMARY KEY, b BOOLEAN, d DATE, m DECIMAL(10,2),"
              " c VARCHAR(20), j JSON, f FLOAT, u UUID, i BIGINT DEFAULT -5)"],
}

SHAPE_NAMES = sorted(SHAPES) + ["wide"]


def statements(shape, name, rng):
    quoted = quote(name)
    if shape == "wide":
        return [wide(quoted, rng)]
    first, *rest = SHAPES[shape]
    parts = {"n": quoted, "i": quote("i_" + name)}
    return [first % quoted] + [r % parts for r in rest]


def family(name, kind):
    """Tables that depend on each other: foreign keys, triggers."""
    p, c, log = quote(name + "_p"), quote(name + "_c"), quote(name + "_log")
    if kind == "cascade":
        return ["CREATE TABLE %s(id INTEGER PRIMARY KEY, n TEXT)" % p,
                "CREATE TABLE %s(id INTEGER PRIMARY KEY, p INT REFERENCES %s(id)"
                " ON DELETE CASCADE ON UPDATE CASCADE, v)" % (c, p)]
    if kind == "set_null":
        return ["CREATE TABLE %s(k TEXT PRIMARY KEY, n INT)" % p,
                "CREATE TABLE %s(a INT, k TEXT DEFAULT 'a' REFERENCES %s(k)"
                " ON DELETE SET NULL ON UPDATE SET DEFAULT DEFERRABLE INITIALLY DEFERRED,"
                " PRIMARY KEY(a)) WITHOUT ROWID" % (c, p)]
    if kind == "triggers":
        return ["CREATE TABLE %s(id INTEGER PRIMARY KEY, a, b INT)" % p,
                "CREATE TABLE %s(what TEXT, n INT)" % log,
                "CREATE TRIGGER %s AFTER INSERT ON %s BEGIN INSERT INTO %s VALUES"
                " ('insert', new.id); END" % (quote(name + "_tr1"), p, log),
                "CREATE TRIGGER %s AFTER DELETE ON %s BEGIN DELETE FROM %s WHERE"
                " n = old.id; END" % (quote(name + "_tr2"), p, log),
                "CREATE TRIGGER %s AFTER UPDATE OF b ON %s BEGIN UPDATE %s SET what ="
                " what || 'u' WHERE n = new.id; UPDATE %s SET a = old.b WHERE id = new.id"
                " AND a IS NOT old.b; END" % (quote(name + "_tr3"), p, log, p)]
    raise ValueError(kind)


FAMILIES = ["cascade", "set_null", "triggers"]

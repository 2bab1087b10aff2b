"""schemas.enable=true: what ends a run, and what does not."""

import json

from harness.box import expect

SCHEMAS = ("-D", "schemas.enable=true")
HOW = "event.converting.failure.handling.mode="


def lost(box, table, row, *args):
    """The result of a snapshot of one row."""
    _, path = box.database("CREATE TABLE " + table, "INSERT INTO t VALUES " + row)
    return box.run(path, "--snapshot", "--once", *(SCHEMAS + args))


def one_error(result, *words):
    expect(result.code == 1, "not exit 1\n%s", result)
    expect(result.out == b"", "output\n%s", result)
    for word in words:
        expect(word in result.error_lines[-1], "the error does not name %r\n%s", word,
               result)


def test_a_value_that_does_not_fit_ends_the_run_if_asked_to(box):
    result = lost(box, "t(id INTEGER PRIMARY KEY, n INT)", "(7, 'many')",
                  "-D", HOW + "fail")
    one_error(result, "table t", "column n", "rowid 7", "TEXT", "int64", HOW + "warn")


def test_a_key_that_does_not_fit_ends_the_run(box):
    result = lost(box, "t(k INT PRIMARY KEY, n INT)", "('many', 1)")
    one_error(result, "table t", "column k", "rowid 1", "TEXT", "int64", HOW + "skip")


def test_a_value_that_may_not_be_null_ends_the_run(box):
    result = lost(box, "t(r REAL NOT NULL) STRICT", "(9e999)")
    one_error(result, "table t", "column r", "REAL", "may not be null", HOW + "skip")


def test_without_schemas_every_value_fits(box):
    _, path = box.database("CREATE TABLE t(k INT PRIMARY KEY)",
                           "INSERT INTO t VALUES ('many')")
    result = box.run(path, "--snapshot", "--once", "-D", HOW + "fail")
    expect(result.code == 0 and json.loads(result.out)["after"] == {"k": "many"}, "%s",
           result)


def test_many_values_that_do_not_fit_give_ten_warnings(box):
    _, path = box.database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT)",
        "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c "
        "WHERE x < 50) SELECT x, 'many' FROM c")
    result = box.run(path, "--snapshot", "--once", *SCHEMAS)
    named = [line for line in result.error_lines if "column n" in line]
    expect(result.code == 0 and result.out.count(b"\n") == 50, "%s", result)
    expect(len(named) == 10 and "no more is said" in named[-1], "%s", result)


def test_columns_that_get_one_name_are_an_error(box):
    _, path = box.database('CREATE TABLE t("a-b", "a b")')
    result = box.run(path, "-D", "field.name.adjustment.mode=avro")
    expect(result.code == 2 and "a-b" in result.error_lines[-1] and
           "a b" in result.error_lines[-1], "%s", result)

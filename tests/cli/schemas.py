"""schemas.enable=true: what ends a run, and what does not."""

import json
import re

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


# -- columns ---------------------------------------------------------------------------


def test_rules_of_columns_that_cannot_be_are_wrong_usage(box):
    _, path = box.database("CREATE TABLE t(a)")
    for setting in ("column.exclude.list=t.(", "message.key.columns=t",
                    "column.mask.with.many.chars=t.a", "column.truncate.to.-1.chars=t.a",
                    "column.mask.hash.ROT13.with.salt.PEPPER=t.a"):
        result = box.run(path, "-D", setting)
        name = setting.split("=")[0].replace(".with.salt.PEPPER", "")
        expect(result.code == 2 and name in result.error_lines[-1], "%s: %s", setting,
               result)
        expect("PEPPER" not in str(result.err), "the salt is shown: %s", result)
    both = ("-D", "column.include.list=t.a", "-D", "column.exclude.list=t.a")
    expect(box.run(path, *both).code == 2, "both lists: not exit 2")


# -- headers ---------------------------------------------------------------------------


def test_extended_headers_say_who_sent_an_event(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY)",
                                "INSERT INTO t VALUES (1)")
    runs = []
    asked = (*SCHEMAS, "-D", "header.converter.schemas.enable=true")
    for more in ((), SCHEMAS, asked):
        tail = box.tail(path, "--snapshot", "--lines=record", *more,
                        "-D", "extended.headers.enabled=true",
                        "-D", "include.schema.changes=true",
                        "-D", "provide.transaction.metadata=true")
        writer.sql("c", "DELETE FROM t", "INSERT INTO t VALUES (1)")
        tail.wait_lines(2 + 4 + 3)
        box.stop(tail)
        lines = [json.loads(t) for t in tail.take_all()]
        headers = [t["headers"] for t in lines]
        expect([len(h) for h in headers] == [4, 4, 0, 4, 4, 0, 0, 4, 0], "%s", headers)
        for header in (h for h in headers if h):
            values = {k: v["payload"] if more == asked else v for k, v in header.items()}
            run = values.pop("__debezium.context.runId")
            expect(values == {"__debezium.context.connectorLogicalName": "app",
                              "__debezium.context.taskId": "0",
                              "__debezium.context.connectorName": "sqlite"}, "%s", header)
            expect(re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}"
                                "-[0-9a-f]{12}", run), "run %s", run)
            runs.append(run)
            if more == asked:
                expect(all(v["schema"] == {"type": "string", "optional": False}
                           for v in header.values()), "%s", header)
    expect(len(set(runs)) == 3, "runs %s", runs)


# -- heartbeats ------------------------------------------------------------------------


def test_heartbeats_come_while_nothing_else_does(box):
    _, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    tail = box.tail(path, "--lines=record", "-D", "heartbeat.interval.ms=50",
                    "-D", "topic.prefix=srv", "-D", "topic.heartbeat.prefix=beat")
    tail.wait_lines(3)
    box.stop(tail)
    beats = [json.loads(line) for line in tail.take_all()]
    for beat in beats:
        expect(beat["topic"] == "beat.srv" and beat["key"] == {"serverName": "srv"} and
               list(beat["value"]) == ["ts_ms"] and beat["headers"] == {}, "%s", beat)
    times = [beat["value"]["ts_ms"] for beat in beats]
    expect(all(40 <= b - a < 2000 * box.slow for a, b in zip(times, times[1:])),
           "times %s", times)


def test_heartbeats_come_beside_a_writer_between_transactions(box):
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    tail = box.tail(path, "--lines=record", "-D", "heartbeat.interval.ms=5",
                    "-D", "provide.transaction.metadata=true", *SCHEMAS)
    for i in range(60):
        writer.sql("c", "INSERT INTO t VALUES (%d), (%d)" % (2 * i, 2 * i + 1))
    lines = []
    while sum(not t["topic"].startswith("__deb") for t in lines) < 60 * 4:
        tail.wait_lines(1)
        lines += [json.loads(t) for t in tail.take(1)]
    box.stop(tail)
    beats = [i for i, line in enumerate(lines) if line["topic"].startswith("__deb")]
    expect(len(beats) >= 3, "%d heartbeats", len(beats))
    for i in beats:
        before = next((t for t in reversed(lines[:i]) if "topic" in t and
                       not t["topic"].startswith("__deb")), None)
        status = before and before["value"]["payload"].get("status")
        expect(before is None or status == "END", "a heartbeat after %s", before)
        expect(lines[i]["value"]["schema"]["name"] ==
               "io.debezium.connector.common.Heartbeat", "%s", lines[i])


def test_without_an_interval_there_are_no_heartbeats(box):
    _, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    tail = box.tail(path, "-D", "heartbeat.interval.ms=0")
    tail.wait_quiet(0.5)
    box.stop(tail)
    expect(not tail.take_all(), "lines")


def test_headers_have_no_schema_where_keys_have_none(box):
    _, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    result = box.run(path, "--snapshot", "--once", "-D", "header.converter.schemas.enable=true")
    expect(result.code == 2 and result.out == b"", "not exit 2\n%s", result)
    for word in ("header.converter.schemas.enable=true", "schemas.enable=true"):
        expect(word in result.error_lines[-1], "%s is not named\n%s", word, result)

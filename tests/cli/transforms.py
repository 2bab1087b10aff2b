"""Single message transforms: what is refused, and lines that are flat."""

import json

from cli.usage import TABLE, one_error
from harness.box import expect

FLAT = "io.debezium.transforms.ExtractNewRecordState"
UNWRAP = ["-D", "transforms=u", "-D", "transforms.u.type=" + FLAT]


def values(result):
    return [json.loads(line) for line in result.out.splitlines()]


def test_what_is_not_built_in_is_refused_with_what_is(box):
    _, path = box.database(TABLE)
    one_error(box.run(path, "-D", "transforms=u"), 2, "transforms.u.type is not set")
    one_error(box.run(path, "-D", "transforms=u", "-D", "transforms.u.type=a.Filter"), 2,
              "a.Filter is not built", FLAT, "RegexRouter", "ByLogicalTableRouter",
              "sink connector")
    one_error(box.run(path, *UNWRAP, "-D", "transforms.u.drop.tombstones=true"), 2,
              "drop.tombstones", "delete.tombstone.handling.mode")
    one_error(box.run(path, *UNWRAP, "-D", "transforms.u.predicate=p"), 2, "predicates")
    one_error(box.run(path, *UNWRAP, "-D", "predicates=p"), 2, "predicates", "expression")
    one_error(box.run(path, *UNWRAP, "-D", "transforms.v.type=" + FLAT), 2,
              "transforms.v.type", "the list transforms")
    one_error(box.run(path, *UNWRAP, "--lines=record", "-D",
                      "transforms.u.add.fields=context"), 2, "transaction.context.table")
    file = box.path("of.properties")
    with open(file, "w") as out:
        out.write("transforms=u\ntransforms.u.type=%s\ntransforms.u.add.fields=nothing\n"
                  % FLAT)
    one_error(box.run(path, "--config", file), 2, "transforms.u.add.fields", "nothing",
              "docs/transforms.md")


def test_an_audit_log_takes_none(box):
    _, path = box.database(TABLE)
    for more in (UNWRAP, ["--lines=flat"]):
        one_error(box.run(path, "--state", box.path("s"), "--to",
                          "audit:" + box.path("a"), *more), 2, "audit:", "one form")


def test_flat_lines_are_of_lines(box):
    _, path = box.database(TABLE)
    one_error(box.run(path, "--lines=flat", "--to", "kafka://127.0.0.1:9"), 2,
              "--lines=flat", "transforms")
    one_error(box.run(path, "--lines=flat", *UNWRAP), 2, "--lines=flat",
              "transforms.u.type")
    one_error(box.run(path, "--lines=round"), 2, "value, record or flat")


def test_flat_lines_tell_a_delete_and_the_table(box):
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'x')")
    state = ["--state", box.path("state"), "--lines=flat"]
    first = box.run(path, *state, "--once")
    expect(values(first) == [{"id": 1, "a": "x", "__deleted": "false", "__table": "t"}],
           "%s", first)
    writer.sql("c", "DELETE FROM t")
    out = box.path("lines")
    second = box.run(path, *state, "--once", "--to", "file:" + out)
    with open(out) as lines:
        expect(lines.read() == '{"id":1,"a":"x","__deleted":"true","__table":"t"}\n',
               "%s", second)


def test_flat_lines_go_with_routers(box):
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'x')")
    result = box.run(path, "--snapshot", "--once", "--lines=flat", "-D", "transforms=r",
                     "-D", "transforms.r.type=RegexRouter", "-D", "transforms.r.regex=.*",
                     "-D", "transforms.r.replacement=all")
    expect(result.code == 0 and len(values(result)) == 1, "%s", result)


def test_deletes_that_would_be_no_lines_are_warned_of(box):
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'x')")
    result = box.run(path, "--snapshot", "--once", *UNWRAP)
    warned = [e for e in result.error_lines if "tombstones" in e]
    expect(len(warned) == 1 and "rewrite" in warned[0] and "--lines=record" in warned[0]
           and values(result) == [{"id": 1, "a": "x"}], "%s", result)
    for more in (["--lines=record"],
                 ["-D", "transforms.u.delete.tombstone.handling.mode=drop"],
                 ["-D", "transforms.u.delete.tombstone.handling.mode=rewrite"]):
        result = box.run(path, "--snapshot", "--once", *UNWRAP, *more)
        expect(result.code == 0 and "tombstones" not in result.err.decode(), "%s", result)


def test_connects_settings_can_be_carried_over(box):
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'x')")
    file = box.path("connector.properties")
    with open(file, "w") as out:
        out.write("topic.prefix=shop\n"
                  "transforms=unwrap, route\n"
                  "transforms.unwrap.type=%s\n"
                  "transforms.unwrap.add.fields=op,source.ts_ms\n"
                  "transforms.unwrap.drop.fields.keep.schema.compatible=false\n"
                  "transforms.route.type=org.apache.kafka.connect.transforms.RegexRouter\n"
                  "transforms.route.regex=([^.]+)\\\\.([^.]+)\n"
                  "transforms.route.replacement=$2\n" % FLAT)
    result = box.run(path, "--config", file, "--snapshot", "--once", "--lines=record")
    record = values(result)[0]
    expect(record["topic"] == "t" and record["key"] == {"id": 1}
           and list(record["value"]) == ["id", "a", "__op", "__source_ts_ms"],
           "%s", result)

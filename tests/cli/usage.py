"""Command line: help, options, properties, exit codes."""

import json
import os
import pathlib
import pty
import subprocess
import sys

from harness.box import expect
from harness.tail import is_following

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def one_error(result, code, *words):
    """Exit `code` and one line on stderr that has `words`."""
    expect(result.code == code, "exit %s, expected %s\n%s", result.code, code, result)
    expect(len(result.error_lines) == 1, "not one error line:\n%s", result)
    for word in words:
        expect(word.lower() in result.error_lines[0].lower(),
               "the error does not name %r:\n%s", word, result)
    expect(result.out == b"", "output on stdout:\n%s", result)


def test_help_is_printed_on_stdout(box):
    result = box.run("--help")
    expect(result.code == 0 and b"rowtail" in result.out and b"--snapshot" in result.out
           and b"-D" in result.out, "%s", result)
    expect(result.err == b"", "%s", result)


def test_documents_say_what_the_tables_of_options_and_properties_say(box):
    root = pathlib.Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, str(root / "tests/tools/manual.py"),
                           box.options.helpers + "/manual", "check"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(done.returncode == 0, "%s", done.stdout.decode())


def test_help_has_all_properties_and_their_defaults(box):
    result = box.run("--help")
    for name in (b"table.include.list", b"column.mask.hash.ALGORITHM.with.salt.SALT",
                 b"(1073741824)", b"journal.max.bytes", b"(declared)"):
        expect(name in result.out, "%s is not in --help", name)
    expect(max(map(len, result.out.decode().splitlines())) < 80, "a line is too long")


def test_version_is_printed_on_stdout(box):
    result = box.run("--version")
    expect(result.code == 0 and result.out.startswith(b"rowtail ")
           and result.out.count(b"\n") == 1, "%s", result)


def test_no_database_is_wrong_usage(box):
    expect(box.run().code == 2, "no arguments: not exit 2")


def test_unknown_option_is_wrong_usage(box):
    one_error(box.run(box.path(), "--snapshoot"), 2, "--snapshoot")


def test_two_databases_are_wrong_usage(box):
    expect(box.run(box.path("a.db"), box.path("b.db")).code == 2, "not exit 2")


def test_unknown_property_names_the_nearest(box):
    _, path = box.database(TABLE)
    one_error(box.run(path, "-D", "table.include.lst=t"), 2, "table.include.lst",
              "table.include.list")


def test_property_without_value_is_wrong_usage(box):
    _, path = box.database(TABLE)
    expect(box.run(path, "-D", "table.include.list").code == 2, "not exit 2")


def test_property_not_built_yet_says_so(box):
    _, path = box.database(TABLE)
    one_error(box.run(path, "-D", "max.batch.size=1"), 2, "max.batch.size")


def test_signals_by_kafka_need_brokers(box):
    _, path = box.database(TABLE)
    one_error(box.run(path, "-D", "signal.kafka.topic=signals"), 2,
              "signal.kafka.bootstrap.servers")
    one_error(box.run(path, "-D", "signal.kafka.bootstrap.servers=127.0.0.1:1",
                      "-D", "signal.consumer.no.such=s3cret"), 2,
              "signal.consumer.no.such")


def test_precise_decimals_are_refused(box):
    _, path = box.database(TABLE)
    one_error(box.run(path, "-D", "decimal.handling.mode=precise"), 2,
              "decimal.handling.mode")


def test_debezium_property_without_meaning_is_accepted_with_a_warning(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path, "-D", "database.hostname=db.example.org")
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)
    expect(sum("database.hostname" in e for e in tail.errors) == 1,
           "no warning that names it:\n%s", tail.error_text())


def test_what_would_change_the_messages_is_refused_with_what_to_use(box):
    _, path = box.database(TABLE)
    avro = "io.confluent.connect.avro.AvroConverter"
    for setting, instead in (("value.converter=" + avro, "JsonConverter"),
                             ("key.converter=" + avro, "JsonConverter"),
                             ("predicates=is", "expression"),
                             ("topic.naming.strategy=a.B", "topic.prefix"),
                             ("converters=isbn", "type.mapping"),
                             ("time.precision.mode=connect", "as stored"),
                             ("post.processors=reselect", "whole")):
        one_error(box.run(path, "-D", setting), 2, setting.split("=")[0], "would change",
                  instead)


def test_schemas_of_connects_converter_are_schemas(box):
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    result = box.run(path, "--snapshot", "--once",
                     "-D", "value.converter=org.apache.kafka.connect.json.JsonConverter",
                     "-D", "value.converter.schemas.enable=true")
    expect(result.code == 0 and list(json.loads(result.out)) == ["schema", "payload"]
           and len(result.error_lines) == 1, "%s", result)
    one_error(box.run(path, "-D", "value.converter.schemas.enable=true", "-D",
                      "key.converter.schemas.enable=false"), 2, "one setting")


def test_a_far_name_is_no_advice(box):
    _, path = box.database(TABLE)
    result = box.run(path, "-D", "read.only=true")
    one_error(result, 2, "read.only", "unknown")
    expect("nearest" not in result.error_lines[0], "%s", result)


SHOP = ("CREATE TABLE orders(id INTEGER PRIMARY KEY, mail)",
        "CREATE TABLE users(id INTEGER PRIMARY KEY, password)",
        "INSERT INTO orders VALUES (1, 'a')", "INSERT INTO users VALUES (1, 'b')")


def test_names_that_match_nothing_are_warned_of_with_the_nearest(box):
    _, path = box.database(*SHOP)
    for settings, words in (
            (["table.include.list=ordrs,users"],
             ["table.include.list", '"ordrs"', "the nearest is orders"]),
            (["table.exclude.list=ordrs"],
             ["table.exclude.list", '"ordrs"', "the nearest is orders"]),
            (["column.exclude.list=users\\.pasword"],
             ["column.exclude.list", "the nearest is users.password"]),
            (["column.include.list=orders.*,users\\.pasword"],
             ["column.include.list", "the nearest is users.password"]),
            (["column.mask.hash.SHA-256.with.salt.pepper=order\\.mail"],
             ["column.mask.hash", "the nearest is orders.mail"]),
            (["column.mask.with.5.chars=orders\\.mial"],
             ["column.mask.with.5.chars", "the nearest is orders.mail"]),
            (["column.truncate.to.5.chars=zzz\\.zzzz"],
             ["column.truncate.to.5.chars", '"zzz\\.zzzz"']),
            (["message.key.columns=users:idd;orders:mail"],
             ["message.key.columns", '"users.idd"', "the nearest is users.id"]),
            (["snapshot.select.statement.overrides=userz",
              "snapshot.select.statement.overrides.userz=SELECT 1"],
             ["snapshot.select.statement.overrides", "the nearest is users"])):
        args = [word for s in settings for word in ("-D", s)]
        result = box.run(path, "--snapshot", "--once", *args)
        expect(result.code == 0, "%s: %s", settings, result)
        said = [e for e in result.error_lines if all(w in e for w in words)]
        expect(len(said) == 1 and "pepper" not in said[0], "%s: %s", settings, result)
        expect(("nearest" in said[0]) == any("nearest" in w for w in words), "%s", said)


def test_names_that_match_are_not_warned_of(box):
    _, path = box.database(*SHOP)
    result = box.run(path, "--snapshot", "--once", "-D", "table.include.list=ORDERS,u.*",
                     "-D", "column.exclude.list=.*\\.PASSWORD",
                     "-D", "message.key.columns=o.*:mail")
    expect(result.code == 0 and len(result.error_lines) == 1, "%s", result)


def test_a_filter_that_leaves_nothing_is_refused(box):
    _, path = box.database(*SHOP)
    for setting, words in (("table.include.list=ordrs", ("nearest is orders",)),
                           ("table.include.list=sqlite_.*", ()),
                           ("table.exclude.list=.*", ("matches every table",))):
        result = box.run(path, "-D", setting)
        expect(result.code == 2 and result.out == b"", "%s", result)
        last = result.error_lines[-1]
        expect(all(w in last for w in (setting.split("=")[0], "nothing to capture",
                                       *words)), "%s", result)


def test_a_database_without_tables_is_followed(box):
    writer, path = box.database("CREATE TABLE gone(a)", "DROP TABLE gone")
    for args in ([], ["-D", "table.exclude.list=x"]):
        tail = box.tail(path, *args)
        writer.sql("c", "CREATE TABLE IF NOT EXISTS t(a)", "INSERT INTO t VALUES (1)")
        expect(tail.wait_lines(1), "no event")
        box.stop(tail)
        writer.sql("c", "DROP TABLE t")
    result = box.run(path, "-D", "table.include.list=t")
    expect(result.code == 2 and "nothing to capture" in result.error_lines[-1], "%s",
           result)


def test_wrong_values_are_refused(box):
    _, path = box.database(TABLE)
    for setting in ("binary.handling.mode=binary", "table.include.list=(",
                    "provide.transaction.metadata=perhaps", "skipped.operations=x",
                    "topic.prefix=a b"):
        result = box.run(path, "-D", setting)
        one_error(result, 2, setting.split("=")[0])
    one_error(box.run(path, "--lines=words"), 2, "lines")
    one_error(box.run(path, "--log-format=xml"), 2, "log-format")


def test_include_and_exclude_together_are_refused(box):
    _, path = box.database(TABLE)
    one_error(box.run(path, "-D", "table.include.list=a", "-D", "table.exclude.list=b"),
              2, "table.include.list", "table.exclude.list")


def test_once_without_snapshot_or_state_has_nothing_to_do(box):
    _, path = box.database(TABLE)
    one_error(box.run(path, "--once"), 2, "--once")


def test_once_with_snapshot_ends_after_the_rows(box):
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    result = box.run(path, "--snapshot", "--once")
    expect(result.code == 0, "%s", result)
    rows = [json.loads(t) for t in result.out.splitlines()]
    expect([r["after"] for r in rows] == [{"id": 1, "a": "x"}, {"id": 2, "a": None}]
           and {r["op"] for r in rows} == {"r"}, "%s", result)


def test_snapshot_mode_initial_only_ends_after_the_rows(box):
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 'x')")
    result = box.run(path, "-D", "snapshot.mode=initial_only")
    expect(result.code == 0 and result.out.count(b"\n") == 1, "%s", result)


def test_snapshot_of_an_empty_database_has_no_lines(box):
    _, path = box.database(TABLE)
    result = box.run(path, "--snapshot", "--once")
    expect(result.code == 0 and result.out == b"", "%s", result)


def test_snapshot_keeps_to_the_include_list(box):
    _, path = box.database(TABLE, "CREATE TABLE u(x)", "INSERT INTO t VALUES (1, 1)",
                           "INSERT INTO u VALUES (5)")
    result = box.run(path, "--snapshot", "--once", "-D", "table.include.list=u")
    rows = [json.loads(t) for t in result.out.splitlines()]
    expect(len(rows) == 1 and rows[0]["source"]["table"] == "u"
           and rows[0]["source"]["snapshot"] == "last", "%s", result)


def test_option_before_property_before_default(box):
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    result = box.run(path, "--once", "--snapshot", "-D", "snapshot.mode=no_data")
    expect(result.code == 0 and result.out.count(b"\n") == 1, "%s", result)


def test_following_is_said_even_when_quiet(box):
    _, path = box.database(TABLE)
    for more in (["--quiet"], ["--log-format=json"], ["--quiet", "--log-format=json"],
                 ["--verbose"]):
        tail = box.tail(path, *more)
        lines = [e for e in tail.errors if is_following(e)]
        expect(len(lines) == 1 and "app.db" in lines[0], "%r: %s", more, tail.errors)
        if "--log-format=json" in more:
            expect(json.loads(lines[0])["level"] == "info", "%s", lines)
        box.stop(tail)


def test_log_lines_are_json_when_asked(box):
    writer, path = box.database(TABLE, "CREATE TABLE gone(x)")
    tail = box.tail(path, "--log-format=json")
    writer.sql("c", "DROP TABLE gone", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)
    expect(any("gone" in e for e in tail.errors), "DROP is not told: %s", tail.errors)
    are_objects(tail.errors)


def are_objects(lines):
    expect(lines, "nothing is said")
    for line in lines:
        expect(set(json.loads(line)) == {"ts", "level", "msg"}, "not one: %s", line)


def test_errors_are_json_when_asked_wherever_they_come_from(box):
    """Of options before the one that asks, of a configuration, of the database; a
    terminal gets no line of progress; and where a signal ends it."""
    _, path = box.database(TABLE)
    with open(box.path("bad.properties"), "w") as out:
        out.write("no.such.property=1\n")
    for args in ((), ("--no-such-option",), (path, "-D", "x"), (path, "--once"),
                 ("--config", box.path("bad.properties")), (box.path("none.db"),),
                 (box.folder,), ("status", "--state", box.path("s")),
                 ("verify", "--state", box.path("s"), path)):
        for form in (["--log-format=json"], ["--log-format", "json"]):
            for all_args in ([*args, *form], [*form, *args]):
                result = box.run(*all_args)
                expect(result.code in (1, 2, 3), "%s: %s", all_args, result)
                are_objects(result.error_lines)
    tail = box.tail(path, "--log-format=json")
    os.truncate(path + "-shm", 0)
    expect(tail.wait_exit(10) == 1, "it goes on")
    are_objects(tail.errors)


def test_a_terminal_gets_json_only(box):
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    main, other = pty.openpty()
    process = subprocess.Popen(
        box.command(path, "--snapshot", "--once", "--log-format=json", "--state",
                    box.path("state")), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=other)
    os.close(other)
    text = b""
    try:
        while (got := os.read(main, 4096)):
            text += got
    except OSError:
        pass                                # its end
    os.close(main)
    expect(process.wait(20) == 0, "exit %s", process.returncode)
    are_objects([t.strip() for t in text.decode().splitlines()])


def test_nothing_to_capture_is_told_before_the_database_is_copied(box):
    _, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    state = box.path("state")
    for args in (("-D", "table.include.list=nope"), ("-D", "table.exclude.list=.*")):
        result = box.run(path, "--state", state, *args, "--once")
        expect(result.code == 2 and "nothing to capture" in result.error_lines[-1]
               and len(result.error_lines) == 1, "%s", result)
        shadow = os.path.join(state, "shadow")
        expect(not os.path.exists(shadow) or os.path.getsize(shadow) == 0,
               "it was copied")
    result = box.run(path, "--state", state, "--once", "-D", "column.mask.with.3.chars="
                     "t.nope")
    expect(result.code == 0 and result.out.count(b"\n") == 1, "%s", result)
    expect(len([e for e in result.error_lines if "t.nope" in e]) == 1, "%s", result)


def test_create_drop_and_rename_are_one_line_each(box):
    writer, path = box.database(TABLE)
    tail = box.tail(path)
    before = len(tail.errors)
    writer.sql("c", "CREATE TABLE fresh_one(x)")
    writer.sql("c", "ALTER TABLE fresh_one RENAME TO other_name")
    writer.sql("c", "DROP TABLE other_name")
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)
    lines = tail.errors[before:]
    expect(len(lines) == 3 and "fresh_one" in lines[0]
           and "fresh_one" in lines[1] and "other_name" in lines[1]
           and "other_name" in lines[2], "stderr:\n%s", "\n".join(lines))


def test_left_out_tables_are_named_once(box):
    writer, path = box.database(
        TABLE, "CREATE VIRTUAL TABLE search USING fts5(x)",
        "INSERT INTO search VALUES ('a')")
    tail = box.tail(path)
    writer.sql("c", "INSERT INTO search VALUES ('b')", "CREATE TABLE u(x)",
               "INSERT INTO search VALUES ('c')", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)
    lines = [e for e in tail.errors if "search_data" in e]
    expect(len(lines) == 1, "stderr:\n%s", tail.error_text())


def test_topics_that_collide_are_refused_at_start(box):
    _, path = box.database('CREATE TABLE "a b"(x)', 'CREATE TABLE "a_b"(x)')
    one_error(box.run(path), 2, "a b", "a_b")


def test_a_table_with_the_topic_of_transactions_is_refused(box):
    _, path = box.database('CREATE TABLE "transaction"(x)')
    one_error(box.run(path, "-D", "provide.transaction.metadata=true"), 2, "transaction")


def test_topics_that_collide_later_leave_the_newer_table_out(box):
    writer, path = box.database('CREATE TABLE "a b"(x)')
    tail = box.tail(path)
    writer.sql("c", 'CREATE TABLE "a_b"(x)', 'INSERT INTO "a_b" VALUES (1)',
               'INSERT INTO "a b" VALUES (2)')
    expect(tail.wait_lines(1), "no event")
    expect(b'"table":"a b"' in tail.take(1)[0], "the newer table's event came")
    box.stop(tail)
    expect(any("a b" in e and "a_b" in e for e in tail.errors),
           "no error that names both:\n%s", tail.error_text())

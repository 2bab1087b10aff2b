"""transaction.context.table: who made a transaction, and why, is in each of its events."""

import base64
import json
import os
import signal

from harness.box import expect

NAME = "rowtail_context"
CONTEXT = ("CREATE TABLE %s(id INTEGER PRIMARY KEY CHECK(id=1), seq INT NOT NULL,"
           " actor TEXT, request TEXT, reason TEXT)" % NAME)
LOOSE = "CREATE TABLE %s(id INTEGER PRIMARY KEY, actor TEXT)" % NAME
TABLES = ("CREATE TABLE a(id INTEGER PRIMARY KEY, v)",
          "CREATE TABLE z(id INTEGER PRIMARY KEY, v)")
SETTING = ("-D", "transaction.context.table=" + NAME)
ALONE = ("-D", "transaction.context.alone=emit")


def upsert(actor):
    return ("INSERT INTO %s(id,seq,actor) VALUES(1,1,'%s') ON CONFLICT(id) DO UPDATE SET "
            "seq=seq+1, actor=excluded.actor" % (NAME, actor))


def commit(writer, *statements):
    writer.sql("c", "BEGIN", *statements, "COMMIT")


def take(tail, count):
    expect(tail.wait_lines(count), "only %d lines:\n%s", tail.available(),
           tail.error_text())
    return [json.loads(line) for line in tail.take(count)]


def end(box, tail, writer):
    """Nothing was left but what one more change gives."""
    writer.sql("c", "INSERT INTO z VALUES (1000, 'end')")
    (last,) = take(tail, 1)
    expect(last["after"] == {"id": 1000, "v": "end"}, "something else came: %s", last)
    box.stop(tail)
    return last


def actor(event):
    return event["context"] and event["context"]["actor"]


def test_each_event_has_the_row_that_its_transaction_wrote(box):
    writer, path = box.database(CONTEXT, *TABLES)
    tail = box.tail(path, *SETTING, "-D", "table.include.list=a,z")
    commit(writer, "INSERT INTO z VALUES (1, 1)", "INSERT INTO a VALUES (1, 1)",
           upsert("alice"))
    commit(writer, upsert("alice"), "UPDATE z SET v = 2")
    writer.sql("c", "DELETE FROM a")
    events = take(tail, 4)
    expect([(e["source"]["table"], e["op"], actor(e)) for e in events]
           == [("a", "c", "alice"), ("z", "c", "alice"), ("z", "u", "alice"),
               ("a", "d", None)], "%s", events)
    expect(events[0]["context"] == {"id": 1, "seq": 1, "actor": "alice",
                                    "request": None, "reason": None}, "%s", events[0])
    expect(events[2]["context"]["seq"] == 2, "the same actor again: %s", events[2])
    expect("context" in events[3] and "context_rows" not in events[0], "%s", events)
    expect([e["source"]["change_id"] for e in events] == [1, 2, 3, 4],
           "its rows took numbers: %s", events)
    end(box, tail, writer)


def test_without_the_property_it_is_a_table_like_others(box):
    writer, path = box.database(CONTEXT, *TABLES)
    tail = box.tail(path)
    commit(writer, upsert("alice"), "INSERT INTO z VALUES (1, 1)")
    events = take(tail, 2)
    expect([e["source"]["table"] for e in events] == [NAME, "z"], "%s", events)
    expect(not any("context" in e for e in events), "%s", events)
    end(box, tail, writer)


def test_of_several_rows_the_highest_rowid_counts_and_deletes_are_silent(box):
    writer, path = box.database(LOOSE, *TABLES)
    tail = box.tail(path, *SETTING, *ALONE)
    commit(writer, "INSERT INTO %s VALUES (7, 'bob'), (3, 'alice')" % NAME,
           "INSERT INTO z VALUES (1, 1)")
    commit(writer, "DELETE FROM %s WHERE id = 7" % NAME)
    commit(writer, "DELETE FROM %s" % NAME, "INSERT INTO a VALUES (1, 1)")
    first, second = take(tail, 2)
    expect(actor(first) == "bob" and first["context_rows"] == 2, "%s", first)
    expect(second["context"] is None and second["source"]["change_id"] == 2, "%s",
           second)
    end(box, tail, writer)


def test_a_context_alone_is_dropped(box):
    writer, path = box.database(CONTEXT, *TABLES)
    tail = box.tail(path, *SETTING)
    commit(writer, upsert("alice"))
    expect(end(box, tail, writer)["source"]["change_id"] == 1, "it took a number")


def test_a_context_alone_is_a_message_if_asked_for(box):
    writer, path = box.database(CONTEXT, *TABLES)
    tail = box.tail(path, *SETTING, *ALONE, "--lines=record", "-D",
                    "provide.transaction.metadata=true")
    commit(writer, upsert("alice"))
    (record,) = take(tail, 1)
    value = record["value"]
    expect(record["topic"] == "app.message" and record["key"] == {"prefix": NAME}, "%s",
           record)
    expect(value["op"] == "m" and value["source"]["change_id"] == 1, "%s", value)
    expect(value["message"]["prefix"] == NAME, "%s", value)
    row = json.loads(base64.b64decode(value["message"]["content"]))
    expect(row == {"id": 1, "seq": 1, "actor": "alice", "request": None, "reason": None},
           "%s", row)
    box.stop(tail)


def test_a_savepoint_that_is_rolled_back_takes_the_context_with_it(box):
    writer, path = box.database(CONTEXT, *TABLES)
    tail = box.tail(path, *SETTING)
    commit(writer, "SAVEPOINT s", upsert("alice"), "INSERT INTO z VALUES (1, 1)",
           "ROLLBACK TO s", "INSERT INTO z VALUES (2, 1)")
    commit(writer, "SAVEPOINT s", upsert("alice"), "INSERT INTO z VALUES (3, 1)",
           "ROLLBACK TO s", upsert("bob"), "INSERT INTO z VALUES (4, 1)")
    events = take(tail, 2)
    expect([(e["after"]["id"], actor(e)) for e in events] == [(2, None), (4, "bob")],
           "%s", events)
    end(box, tail, writer)


def test_a_catch_up_has_candidates_and_no_context(box):
    writer, path = box.database(LOOSE, *TABLES)
    args = (path, *SETTING, *ALONE, "--state", box.path("state"), "--once",
            "-D", "snapshot.mode=no_data")
    expect(box.run(*args).code == 0, "the first run failed")
    for i, name in enumerate(("alice", "bob", "carol")):
        commit(writer, "INSERT INTO %s(actor) VALUES ('%s')" % (NAME, name),
               "INSERT INTO z VALUES (%d, 1)" % i)
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    result = box.run(*args)
    events = [json.loads(line) for line in result.out.splitlines()]
    expect(len(events) == 3, "%s", result)
    for event in events:
        expect(event["context"] is None and event["context_rows"] == 3, "%s", event)
        expect([c["actor"] for c in event["context_candidates"]]
               == ["alice", "bob", "carol"], "%s", event)


def test_a_snapshot_has_no_rows_of_it(box):
    writer, path = box.database(CONTEXT, *TABLES, "INSERT INTO a VALUES (1, 1)",
                                upsert("alice"))
    result = box.run(path, "--snapshot", "--once", *SETTING)
    (event,) = [json.loads(line) for line in result.out.splitlines()]
    expect(event["op"] == "r" and event["context"] is None, "%s", event)


def test_a_table_that_comes_later_counts_from_then_on(box):
    writer, path = box.database(*TABLES)
    tail = box.tail(path, *SETTING)
    expect(any("transaction.context.table" in e and NAME in e for e in tail.errors),
           "no warning: %s", tail.error_text())
    commit(writer, CONTEXT, upsert("alice"), "INSERT INTO z VALUES (1, 1)")
    commit(writer, "ALTER TABLE %s ADD COLUMN ticket DEFAULT 'none'" % NAME,
           upsert("bob"), "CREATE TABLE n(x)", "INSERT INTO n VALUES (1)")
    commit(writer, "DROP TABLE " + NAME, "UPDATE z SET v = 2")
    events = take(tail, 3)
    expect([actor(e) for e in events] == ["alice", "bob", None], "%s", events)
    expect(events[1]["context"]["ticket"] == "none", "%s", events[1])
    end(box, tail, writer)


def test_schema_changes_of_it_are_not_told(box):
    writer, path = box.database(*TABLES)
    tail = box.tail(path, *SETTING, "-D", "include.schema.changes=true")
    commit(writer, CONTEXT, upsert("alice"), "CREATE TABLE n(x)",
           "INSERT INTO n VALUES (1)")
    told, event = take(tail, 2)
    expect(told["tableChanges"][0]["id"].endswith('"n"'), "%s", told)
    expect(actor(event) == "alice", "%s", event)
    end(box, tail, writer)


def test_columns_can_be_masked_and_left_out_of_it(box):
    writer, path = box.database(CONTEXT, *TABLES)
    tail = box.tail(path, *SETTING, "-D", "column.exclude.list=%s\\.seq" % NAME,
                    "-D", "column.mask.with.3.chars=%s\\.actor" % NAME)
    commit(writer, upsert("alice"), "INSERT INTO z VALUES (1, 1)")
    (event,) = take(tail, 1)
    expect(event["context"] == {"id": 1, "actor": "***", "request": None,
                                "reason": None}, "%s", event)
    end(box, tail, writer)


def test_a_list_that_leaves_only_the_context_is_refused(box):
    _, path = box.database(CONTEXT, *TABLES)
    result = box.run(path, *SETTING, "-D", "table.include.list=nothing", "--snapshot",
                     "--once")
    expect(result.code == 2 and "leaves nothing to capture" in result.error_lines[-1],
           "%s", result)


def test_tables_of_any_kind_can_be_the_context(box):
    for ddl, row in (("(k TEXT PRIMARY KEY, a) WITHOUT ROWID", {"k": "b", "a": 2}),
                     ("(k, a, u AS (upper(k)))", {"k": "b", "a": 2, "u": "B"})):
        name = 'W "%d" \u00e4' % len(ddl)
        quoted = '"%s"' % name.replace('"', '""')
        writer, path = box.database("PRAGMA encoding='UTF-16le'", TABLES[0],
                                    "CREATE TABLE %s%s" % (quoted, ddl),
                                    name="app%d.db" % len(ddl))
        tail = box.tail(path, "-D", "transaction.context.table=" + name.replace("W", "w"))
        commit(writer, "INSERT INTO a VALUES (1, 1)",
               "INSERT INTO %s(k, a) VALUES ('b', 2)" % quoted)
        (event,) = take(tail, 1)
        expect(event["context"] == row, "%s", event)
        box.stop(tail)


def audit_lines(log):
    """What an audit log says of rows, schemas, contexts and transactions."""
    with open(log, "rb") as lines:
        return [line for line in map(json.loads, lines) if "txn" in line]


def test_an_audit_log_has_it_as_by(box):
    writer, path = box.database(CONTEXT, *TABLES)
    log = box.path("log")
    tail = box.tail(path, *SETTING, *ALONE, "--to", "audit:" + log, "--state",
                    box.path("state"), "-D", "snapshot.mode=no_data")
    commit(writer, "INSERT INTO z VALUES (1, 1)", "CREATE TABLE n(x)", upsert("alice"))
    commit(writer, upsert("bob"))
    writer.sql("c", "UPDATE z SET v = 2")
    box.wait_until(lambda: len(audit_lines(log)) >= 4, 20, "no four lines")
    box.stop(tail)
    lines = audit_lines(log)
    expect([(e["op"], e.get("by", {}).get("actor"), e.get("change_id")) for e in lines]
           == [("schema", "alice", None), ("insert", "alice", 1), ("message", "bob", 2),
               ("update", None, 3)], "%s", lines)
    expect(lines[3]["changed"] == {"v": [1, 2]} and lines[3]["key"] == {"id": 1}, "%s",
           lines)


def test_an_audit_log_says_of_a_catch_up_since_when_and_who_may_have_been(box):
    writer, path = box.database(LOOSE, *TABLES)
    log = box.path("log")
    args = (path, *SETTING, "--to", "audit:" + log, "--state", box.path("state"),
            "--once", "-D", "snapshot.mode=no_data")
    expect(box.run(*args).code == 0, "the first run failed")
    for i, name in enumerate(("alice", "bob")):
        commit(writer, "INSERT INTO %s(actor) VALUES ('%s')" % (NAME, name),
               "INSERT INTO z VALUES (%d, 1)" % i)
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    result = box.run(*args, "-D", "audit.row=full")
    expect(result.code == 0, "%s", result)
    with open(log, "rb") as file:
        whole = [json.loads(line) for line in file]
    (settings,) = [e for e in whole if e["op"] == "settings"]
    expect(settings["changed"] == {"audit.row": ["changed", "full"]}, "%s", settings)
    lines = audit_lines(log)
    expect([e["op"] for e in lines] == ["insert", "insert", "catch_up"], "%s", lines)
    for line in lines:
        expect("by" not in line and line["context_rows"] == 2, "%s", line)
        expect([c["actor"] for c in line["context_candidates"]] == ["alice", "bob"], "%s",
               line)
        expect(line["since"] <= line["time"] and len(line["since"]) == 24, "%s", line)
    expect(all(e["catch_up"] is True for e in lines[:2]), "%s", lines)
    expect(lines[2]["rows"] == 2 and lines[2]["pages"] >= lines[2]["changed_pages"] > 0,
           "%s", lines[2])


def test_what_is_debeziums_does_not_go_with_an_audit_log(box):
    _, path = box.database(*TABLES)
    for word in ("schemas.enable=true", "provide.transaction.metadata=true",
                 "heartbeat.interval.ms=5"):
        result = box.run(path, "--to", "audit:" + box.path("log"), "--once", "-D", word)
        expect(result.code == 2 and word.split("=")[0] in result.error_lines[0]
               and "audit:" in result.error_lines[0], "%s", result)


def test_alone_without_a_table_is_refused(box):
    _, path = box.database(*TABLES)
    result = box.run(path, *ALONE)
    expect(result.code == 2 and len(result.error_lines) == 1, "%s", result)
    expect("transaction.context.table" in result.error_lines[0], "%s", result)


def test_after_a_kill_inside_a_transaction_it_is_the_same(box):
    writer, path = box.database(CONTEXT, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    out = box.path("out")
    args = (path, *SETTING, "--to", "file:" + out, "--state", box.path("state"))
    tail = box.tail(*args)
    rows = 200000
    commit(writer, "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
           "i + 1 FROM n WHERE i < %d) SELECT i, 'row' FROM n" % rows, upsert("alice"))
    box.wait_until(lambda: os.path.getsize(out) > 0, 60, "nothing was written")
    tail.process.send_signal(signal.SIGKILL)
    tail.process.wait()
    expect(box.run(*args, "--once", timeout=60).code == 0, "the second run failed")
    with open(out, "rb") as lines:
        ids = []
        for line in lines:
            event = json.loads(line)
            expect(actor(event) == "alice", "%s", line)
            ids.append(event["after"]["id"])
    expect(ids == list(range(1, rows + 1)), "%d events", len(ids))

"""Snapshots that are asked for, of tables of all kinds, and of tables that change."""

from harness.box import expect
from state.asking import (Client, chunks_of, contents, ended, execute, notes, prepared,
                          say, signal_line, told)
from state.starts import many


def whole(box, table, columns="*", chunk=3, setup=(), by_rowid=True, order="rowid"):
    """All rows of a table are read, each once, in the order of its tree, by a snapshot
    of either type. The events."""
    writer, session = prepared(box, *setup, args=chunks_of(chunk))
    want = writer.sql("c", "SELECT %s FROM %s ORDER BY %s" % (columns, table, order))
    run = session.start()
    for more in ([], ["--type", "blocking"]):
        id = execute(session, table, more=more)
        ended(run, id)
    run.stop()
    expect(not session.once(), "more came")
    events = session.stream.events
    got = [tuple(e.after.values()) for e in events]
    expect(got == want * 2, "%d rows, %d are there, twice:\n%s\n%s", len(got), len(want),
           got[:12], want[:12])
    expect(all((e.source["rowid"] is not None) == by_rowid for e in events), "rowids")
    return events


def test_without_a_key(box):
    events = whole(box, "k", setup=[
        "CREATE TABLE k(a, b)", "INSERT INTO k VALUES (1, 'x'), (1, 'x'), (2, 'y'), "
        "(1, 'x'), (NULL, NULL)", "INSERT INTO k(rowid, a, b) VALUES (-5, 'low', 0), "
        "(9223372036854775807, 'high', 0), (100, 'mid', 0)"])
    expect(all(e.key is None for e in events), "a key")
    expect([e.source["rowid"] for e in events[:8]] ==
           [-5, 1, 2, 3, 4, 5, 100, 9223372036854775807], "rowids")


def test_text_primary_key(box):
    """Its rows come by rowid."""
    events = whole(box, "k", setup=[
        "CREATE TABLE k(k TEXT PRIMARY KEY, v)",
        "INSERT INTO k VALUES ('z', 1), ('a', 2), ('m', 3), (NULL, 4), ('', 5)"])
    expect([e.after["k"] for e in events[:5]] == ["z", "a", "m", None, ""], "the order")


def test_without_rowid_by_a_composite_key(box):
    setup = ["CREATE TABLE k(n, a TEXT, b INTEGER, PRIMARY KEY(a COLLATE NOCASE DESC, b))"
             " WITHOUT ROWID"]
    setup += ["INSERT INTO k VALUES (%d, '%s', %d)" % (i, a, b) for i, (a, b) in
              enumerate((a, b) for a in ("alpha", "Beta", "gamma", "Ölig")
                        for b in (-3, 0, 7, 300, 5000000000))]
    for a in ("Alpha", "BETA"):
        setup.append("INSERT INTO k VALUES (99, '%s', 1)" % a)
    whole(box, "k", setup=setup, by_rowid=False, order="a COLLATE NOCASE DESC, b")


def test_without_rowid_by_keys_of_all_classes(box):
    setup = ["CREATE TABLE k(a, b, PRIMARY KEY(b DESC, a)) WITHOUT ROWID"]
    values = ["1", "2.5", "'t'", "''", "-9", "1e300", "9007199254740993", "'é'"]
    setup += ["INSERT INTO k VALUES (%s, %s)" % (a, b) for a in values for b in values]
    whole(box, "k", setup=setup, by_rowid=False, order="b DESC, a", chunk=1)


def test_a_collation_of_the_applications(box):
    """Whose order nobody else knows: it is read whole."""
    setup = ["CREATE TABLE k(a TEXT COLLATE backwards PRIMARY KEY, v) WITHOUT ROWID",
             "CREATE TABLE l(a TEXT COLLATE backwards PRIMARY KEY, v)"]
    setup += ["INSERT INTO %s VALUES ('%s', %d)" % (t, a, i) for t in "kl"
              for i, a in enumerate("qwertyuiopasdfghjkl")]
    whole(box, "k", setup=setup, by_rowid=False, order="a")


def test_a_collation_of_the_applications_in_a_rowid_table(box):
    setup = ["CREATE TABLE l(a TEXT COLLATE backwards PRIMARY KEY, v)"]
    setup += ["INSERT INTO l VALUES ('%s', %d)" % (a, i)
              for i, a in enumerate("qwertyuiopasdfghjkl")]
    whole(box, "l", setup=setup)


def test_deep_tables_and_large_rows(box):
    """Overflow chains, interior pages with rows, and chunks that end anywhere."""
    fill = ("INSERT INTO %s WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 700) SELECT i, 'k' || (i * 7919 %% 1009),"
            " printf('%%.*c', i * 37 %% 3000, 'x') FROM n")
    setup = ["PRAGMA page_size=512", "CREATE TABLE k(i, a PRIMARY KEY, v) WITHOUT ROWID",
             "CREATE TABLE l(i INTEGER PRIMARY KEY, a, v)", fill % "k", fill % "l"]
    whole(box, "k", setup=setup, by_rowid=False, order="a", chunk=64)


def test_generated_columns_and_defaults(box):
    whole(box, "k", columns="a, b, c, d", setup=[
        "CREATE TABLE k(a, b AS (a * 2) STORED, c AS (a || '!'))",
        "INSERT INTO k VALUES (1), (2), (3), (4)",
        "ALTER TABLE k ADD COLUMN d DEFAULT 'there'", "INSERT INTO k VALUES (5, 'new')"])


def test_names_that_need_quoting(box):
    writer, session = prepared(box, 'CREATE TABLE "a.b \'c"(id INTEGER PRIMARY KEY)',
                               'INSERT INTO "a.b \'c" VALUES (1), (2)',
                               'CREATE TABLE "select"(id INTEGER PRIMARY KEY)',
                               'INSERT INTO "select" VALUES (3)')
    run = session.start()
    id = execute(session, r"a\.b 'c", "select", more=["--where", "id > 1"])
    ended(run, id)
    run.stop()
    expect(contents(session.stream.events) == [2, 3], "%s", session.stream.events)


def test_chunks_of_one_row(box):
    whole(box, "t", setup=[many(1, 300)], chunk=1)


def scans(box, id):
    return [(n["additional_data"]["scanned_collection"],
             int(n["additional_data"]["total_rows_scanned"]),
             n["additional_data"]["status"]) for n in notes(box.path("told"))
            if n["id"] == id and n["type"] == "TABLE_SCAN_COMPLETED"]


def noted(box):
    return ["-D", "notification.enabled.channels=file,log", "-D",
            "notification.file=" + box.path("told")]


def test_an_empty_table(box):
    writer, session = prepared(box, "CREATE TABLE e(id)", "CREATE TABLE f(id)",
                               "INSERT INTO f VALUES (1)", "DELETE FROM f",
                               args=noted(box))
    run = session.start()
    for more in (["--id", "i"], ["--id", "b", "--type", "blocking"]):
        id = execute(session, "e", "f", more=more)
        ended(run, id)
        expect(scans(box, id) == [("e", 0, "EMPTY"), ("f", 0, "EMPTY")], "%s",
               scans(box, id))
    run.stop()
    expect(not session.stream.events, "events")


# -- what changes meanwhile ------------------------------------------------------------


class Paused:
    """A snapshot of tables that is paused before the end of the first one, which has
    `count` rows."""

    def __init__(self, box, *setup, tables=("t",), count=4000, applies=True):
        self.box = box
        self.writer, self.session = prepared(box, *setup, args=[
            *chunks_of(1), *noted(box)])
        if not applies:             # events of rows that nobody has told it of
            self.session.replica.apply = lambda event: None
        self.run = self.session.start(take=False)
        client = Client(self.session)
        client.send(signal_line("execute-snapshot", *tables, id="long"))
        client.answer()
        self.run.read(10)
        client = Client(self.session)
        client.send(signal_line("pause-snapshot"))
        self.run.tail.start_taking()
        expect("id" in client.answer(), "not paused")
        ended(self.run, "long", "paused")
        self.first = self.settled()
        expect(10 <= len(self.first) < count, "%d rows", len(self.first))

    def settled(self):
        """The rows so far: all that came before a transaction that is new."""
        self.writer.sql("c", "CREATE TABLE IF NOT EXISTS mark(id INTEGER PRIMARY KEY)",
                        "INSERT INTO mark VALUES (NULL)")
        self.box.wait_until(lambda: any(e.table == "mark" for e in self.run.pull()), 20,
                            "no event")
        return [e for e in self.run.pull() if e.op == "r"]

    def finish(self, word="completed"):
        say(self.session, "resume-snapshot")
        ended(self.run, "long", word)
        self.run.stop()
        expect(not self.session.once(), "more came")
        events = [e for e in self.session.stream.events if e.op == "r"]
        return events[len(self.first):]


def test_a_table_dropped_meanwhile(box):
    p = Paused(box, many(1, 4000), "CREATE TABLE u(id)", "INSERT INTO u VALUES (7)",
               tables=("t", "u"))
    p.writer.sql("c", "DROP TABLE t")
    expect(contents(p.finish()) == [7], "the next table has its rows")
    expect(scans(box, "long") == [("t", len(p.first), "UNKNOWN_SCHEMA"),
                                  ("u", 1, "SUCCEEDED")], "%s", scans(box, "long"))
    expect(told(p.run.tail.errors, "long", "table t", "not there any more"),
           "no warning: %s", p.run.tail.error_text())


def test_a_table_dropped_and_made_anew_meanwhile(box):
    """The rows of the new one are all events; it is read to no harm."""
    p = Paused(box, many(1, 4000), applies=False)
    p.writer.sql("c", "BEGIN", "DROP TABLE t", "CREATE TABLE t(k TEXT PRIMARY KEY, id)"
                 " WITHOUT ROWID", "INSERT INTO t VALUES ('a', 1), ('b', 2)", "COMMIT")
    rest = p.finish()
    expect([e.after["k"] for e in rest] == ["a", "b"], "%s", rest)


def test_a_table_without_rowid_made_anew_with_rowids_meanwhile(box):
    p = Paused(box, "CREATE TABLE w(id INTEGER PRIMARY KEY, a) WITHOUT ROWID",
               many(1, 4000).replace("INTO t ", "INTO w "), tables=("w",), applies=False)
    p.writer.sql("c", "BEGIN", "DROP TABLE w", "CREATE TABLE w(id, a)",
                 "INSERT INTO w VALUES (1, 'a'), (9999, 'b')", "COMMIT")
    expect(contents(p.finish()) == [1, 9999], "rows")
    expect(scans(box, "long") == [("w", 2, "SUCCEEDED")], "%s", scans(box, "long"))


def test_a_table_renamed_meanwhile(box):
    """It goes on under the new name."""
    p = Paused(box, many(1, 4000))
    p.writer.sql("c", "ALTER TABLE t RENAME TO other")
    rest = p.finish()
    expect({e.table for e in rest} == {"other"}, "%s", {e.table for e in rest})
    expect(contents(p.first + rest) == list(range(1, 4001)), "%d rows",
           len(p.first + rest))
    expect(scans(box, "long") == [("other", 4000, "SUCCEEDED")], "%s",
           scans(box, "long"))


def test_a_column_added_meanwhile(box):
    p = Paused(box, many(1, 4000))
    p.writer.sql("c", "ALTER TABLE t ADD COLUMN b DEFAULT 'there'")
    rest = p.finish()
    expect(contents(p.first + rest) == list(range(1, 4001)), "%d rows",
           len(p.first + rest))
    expect(all(e.after.get("b") == "there" for e in rest), "the new column is not there")
    expect(all("b" not in e.after for e in p.first), "it was there before")


def test_a_column_of_the_condition_renamed_meanwhile(box):
    """The condition fits no more: that ends the table, not the snapshot."""
    writer, session = prepared(box, many(1, 4000), "CREATE TABLE u(a)",
                               "INSERT INTO u VALUES ('seven')",
                               args=[*chunks_of(1), *noted(box)])
    run = session.start(take=False)
    client = Client(session)
    client.send(signal_line("execute-snapshot", "t", "u", id="long", **{
        "additional-conditions": [{"data-collection": "t", "filter": "a > ''"}]}))
    client.answer()
    run.read(10)
    client = Client(session)
    client.send(signal_line("pause-snapshot"))
    run.tail.start_taking()
    expect("id" in client.answer(), "not paused")
    writer.sql("c", "ALTER TABLE t RENAME COLUMN a TO b")
    say(session, "resume-snapshot")
    ended(run, "long")
    run.stop()
    done = scans(box, "long")
    expect(len(done) == 2 and done[0][0] == "t" and done[0][2] == "SQL_EXCEPTION" and
           10 <= done[0][1] < 4000 and done[1] == ("u", 1, "SUCCEEDED"), "%s", done)


def test_a_row_that_was_read_and_one_that_was_not_change_meanwhile(box):
    p = Paused(box, many(1, 4000))
    # Only rows whose first event is their r: the consumer has no others.
    p.writer.sql("c", "UPDATE t SET a = 'new' WHERE id = 5",
                 "INSERT INTO t VALUES (5000, 'behind')",
                 "INSERT INTO t VALUES (-1, 'before')")
    rest = p.finish()
    got = contents(p.first + rest)
    expect(got == list(range(1, 4001)), "%d rows: %s", len(got), got[-3:])
    state = p.writer.sql("c", "SELECT count(*), sum(a = 'new') FROM t")
    replica = p.session.replica.tables["t"].values()
    expect(state == [(len(replica), sum(r["a"] == "new" for r in replica))], "%s", state)


def test_vacuum_meanwhile_of_a_table_without_a_key(box):
    """Its rowids are others then: it is read once more from its beginning, and no row
    is missing."""
    total = 3000
    p = Paused(box, "CREATE TABLE k(a)", "INSERT INTO k WITH RECURSIVE n(i) AS (SELECT 1"
               " UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT 'v' || i FROM n"
               % (2 * total), "DELETE FROM k WHERE rowid % 2 = 1", tables=("k",),
               count=total, applies=False)
    p.writer.sql("c", "VACUUM")
    rest = p.finish()
    got = [e.after["a"] for e in rest]
    expect(got == ["v%d" % i for i in range(2, 2 * total + 1, 2)], "%d rows, %s ...",
           len(got), got[:3])
    expect(told(p.run.tail.errors, "long", "from its beginning once more"), "%s",
           p.run.tail.error_text())
    expect(scans(box, "long") == [("k", total, "SUCCEEDED")], "%s", scans(box, "long"))


def test_vacuum_meanwhile_of_a_table_with_a_rowid_column(box):
    """Its rowids stay."""
    p = Paused(box, many(1, 4000), "DELETE FROM t WHERE id % 2 = 0", count=2000)
    p.writer.sql("c", "VACUUM")
    rest = p.finish()
    expect(contents(p.first + rest) == list(range(1, 4001, 2)), "rows")


def test_vacuum_while_nobody_runs_of_a_table_without_a_key(box):
    total = 3000
    p = Paused(box, "CREATE TABLE k(a)", "INSERT INTO k WITH RECURSIVE n(i) AS (SELECT 1"
               " UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT 'v' || i FROM n"
               % (2 * total), "DELETE FROM k WHERE rowid % 2 = 1", tables=("k",),
               count=total, applies=False)
    p.run.stop()
    p.writer.sql("c", "VACUUM")
    p.writer.close()
    p.run = p.session.start()
    rest = p.finish()
    got = {e.after["a"] for e in rest}
    want = {"v%d" % i for i in range(2, 2 * total + 1, 2)}
    if len(rest) == total:
        return 1, "read once more"
    got |= {e.after["a"] for e in p.first}
    expect(got == want, "%d rows, missing: %s", len(got), sorted(want - got)[:5])


def rebuilt(box, order):
    """ALTER in twelve steps, which gives the rows other rowids."""
    total = 3000
    p = Paused(box, "CREATE TABLE k(a)", "INSERT INTO k WITH RECURSIVE n(i) AS (SELECT 1"
               " UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT 'v' || i FROM n"
               % (2 * total), "DELETE FROM k WHERE rowid % 2 = 1", tables=("k",),
               count=total, applies=False)
    p.writer.sql("c", "BEGIN", "CREATE TABLE new_k(a)",
                 "INSERT INTO new_k SELECT a FROM k ORDER BY rowid " + order,
                 "DROP TABLE k", "ALTER TABLE new_k RENAME TO k", "COMMIT")
    rest = p.finish()
    got = {e.after["a"] for e in p.session.stream.events if e.after and e.table == "k"}
    want = {"v%d" % i for i in range(2, 2 * total + 1, 2)}
    expect(got == want, "%d of %d rows; missing %s", len(got), total,
           sorted(want - got)[:3])
    changes = [e for e in p.session.stream.events if e.table == "k" and e.op != "r"]
    return 1, "%d rows once more, %d changes" % (len(rest), len(changes))


def test_a_rebuild_meanwhile_of_a_table_without_a_key(box):
    return rebuilt(box, "ASC")


def test_a_rebuild_meanwhile_in_another_order(box):
    return rebuilt(box, "DESC")

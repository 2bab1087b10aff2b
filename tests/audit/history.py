"""rowtail audit history: what became of one row, and what it was at a time."""

import json
import time

from audit.log import Audited, TABLE, end, many
from cli.context import CONTEXT, commit
from harness.box import expect

SETTING = ("-D", "transaction.context.table=rowtail_context")
ORDERS = "CREATE TABLE orders(id INTEGER PRIMARY KEY, status, price)"


def says(actor, reason):
    return ("INSERT INTO rowtail_context(id,seq,actor,reason) VALUES(1,1,'%s','%s') ON "
            "CONFLICT(id) DO UPDATE SET seq=seq+1, actor=excluded.actor, "
            "reason=excluded.reason" % (actor, reason))


class Told:
    """A log, asked about rows."""

    def __init__(self, box, *statements, args=SETTING):
        self.box = box
        self.writer, path = box.database(CONTEXT, "CREATE TABLE done(i)", *statements)
        self.audited = Audited(box, path, *args)

    def done(self):
        with open(self.audited.path, "rb") as log:
            return log.read().count(b'"op":"insert","table":"done"')

    def change(self, *statements):
        """Each in a transaction of its own, told one by one."""
        tail = self.audited.start()
        done = self.done() + 1
        for statement in statements:
            before = end(self.audited.path)
            commit(self.writer, *([statement] if isinstance(statement, str)
                                  else statement))
            self.wait_for_more(before)
        self.writer.sql("c", "INSERT INTO done VALUES (1)")
        self.box.wait_until(lambda: self.done() == done, timeout=60)
        self.box.stop(tail)
        return self.audited.log(signatures="last")

    def wait_for_more(self, before):
        """So that no two are told in one millisecond; some are not told at all."""
        until = time.monotonic() + 0.5
        while end(self.audited.path) == before and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(0.002)

    def ask(self, *words, code=0):
        result = self.box.run("audit", "history", self.audited.path, *words)
        expect(result.code == code, "%s: %s", words, result)
        expect(code == 0 or len(result.error_lines) == 1, "%s: %s", words, result)
        return result.out.decode()

    def lines(self, *words):
        """What it gives must be lines of the log, byte by byte."""
        out = self.ask(*words, "--json")
        lines = json.loads(out)["lines"]
        for line in lines:
            raw = self.audited.log(signatures="last").raw[line["n"]].decode()
            expect(raw in out, "not as it stands: %s", raw)
        return [line["n"] for line in lines]

    def row(self, key, at, code=0):
        out = self.ask("orders", key, "--at", at, "--json", code=code)
        return json.loads(out)["row"]


def test_a_row_from_its_making_to_its_end(box):
    told = Told(box, ORDERS)
    log = told.change("INSERT INTO orders VALUES (42, 'new', 9.5), (43, 'new', 1)",
                      (says("alice", "card"),
                       "UPDATE orders SET status = 'paid' WHERE id = 42"),
                      "UPDATE orders SET price = NULL WHERE id = 43",
                      (says("bob", ""), "DELETE FROM orders WHERE id = 42"))
    lines = told.ask("orders", "42").splitlines()
    times = [line["time"] for line in log.lines
             if line.get("table") == "orders" and line.get("key") == {"id": 42}]
    expect(lines == [
        times[0] + "  insert  by nobody named  id: 42, status: new, price: 9.5",
        times[1] + "  update  by alice (reason: card)  status: new \u2192 paid",
        times[2] + '  delete  by bob (reason: "")  id: 42, status: paid, price: 9.5'],
           "%s", lines)
    told.ask("orders", "44", code=1)
    told.ask("order", "42", code=1)
    told.ask("ORDERS", "42", code=1)
    expect(told.lines("orders", "43") == [line["n"] for line in log.lines if
                                          line.get("key") == {"id": 43}], "43")


def test_keys_as_they_are_typed(box):
    told = Told(box, 'CREATE TABLE "a ""table"""(k PRIMARY KEY, v)',
                "CREATE TABLE pair(a, b, v, PRIMARY KEY (a, b))",
                "CREATE TABLE bare(v)")
    keys = ["it's", 'a "quote"', "\u00e4\u20ac", "line\nend", "42x", "-5x", ""]
    for key in keys:
        told.writer.sql("c", 'INSERT INTO "a ""table""" VALUES (\'%s\', 1)'
                        % key.replace("'", "''"))
    told.change('INSERT INTO "a ""table""" VALUES (-5, 1), (42, 1), (\'42\', 2), (1.5, 3)',
                "INSERT INTO pair VALUES (1, 'x', 1), (1, 'y', 2), ('1', 'x', 3)",
                "INSERT INTO bare VALUES ('one'), ('two')")
    name = 'a "table"'
    for key in keys:
        expect(len(told.lines(name, key)) == 1, "%r", key)
    expect(len(told.lines(name, "-5")) == 1, "-5")
    expect(len(told.lines(name, "1.5")) == 1, "1.5")
    expect(len(told.lines(name, "42")) == 2, "a number and a text")
    expect(len(told.lines(name, "'42'")) == 1, "the text alone")
    expect(len(told.lines("pair", '{"b":"x","a":1}')) == 1, "in any order")
    told.ask("pair", "1", code=1)
    told.ask("pair", '{"a":1}', code=1)
    told.ask("pair", '{"a":1', code=2)
    expect(len(told.lines("bare", "2")) == 1, "a rowid")
    return len(keys) + 8


def test_a_row_as_it_was(box):
    told = Told(box, ORDERS, "INSERT INTO orders VALUES (1, 'old', 5), (2, 'old', 6)")
    log = told.change("UPDATE orders SET status = 'paid' WHERE id = 1",
                      "UPDATE orders SET price = 7 WHERE id = 1",
                      "DELETE FROM orders WHERE id = 1",
                      "INSERT INTO orders VALUES (1, 'again', 0.1)")
    told.audited.once()
    rows, row = {}, None
    for line in log.lines:
        if line.get("key") == {"id": 1}:
            if line["op"] == "update":
                row = {**row, **{c: v[1] for c, v in line["changed"].items()}}
            else:
                row = line.get("new")
            rows[line["time"]] = row
    expect(len(rows) >= 4, "%s", rows)
    for time, row in rows.items():
        expect(told.row("1", time, code=0 if row else 1) == row, "at %s", time)
    text = told.ask("orders", "1", "--at", list(rows)[-1])
    expect(text == "id: 1\nstatus: again\nprice: 0.1\n", "%s", text)
    told.ask("orders", "1", "--at", "2001-01-01T00:00:00Z", code=1)
    told.ask("orders", "1", "--at", "yesterday", code=2)
    told.ask("orders", "1", "--at", "latest", code=2)
    return len(rows)


def test_a_row_whose_beginning_nobody_told(box):
    """Without a baseline, what later lines say that it was counts."""
    told = Told(box, ORDERS, "INSERT INTO orders VALUES (1, 'old', 5), (2, 'old', 6)",
                args=("-D", "snapshot.mode=no_data"))
    log = told.change("UPDATE orders SET status = 'sent' WHERE id = 2",
                      "UPDATE orders SET status = 'paid' WHERE id = 1",
                      "UPDATE orders SET price = 8 WHERE id = 2",
                      "DELETE FROM orders WHERE id = 1")
    begin = log.of("start")[0]["time"]
    first = next(line for line in log.lines if line["op"] == "update")["time"]
    expect(told.row("1", begin) == {"id": 1, "status": "old", "price": 5}, "whole")
    expect(told.row("2", first) == {"status": "sent", "price": 6}, "what is known")
    out = told.ask("orders", "2", "--at", first)
    expect("no line tells what its other columns were" in out, "%s", out)


def test_what_happened_while_nobody_looked_says_so(box):
    told = Told(box, ORDERS, "INSERT INTO orders VALUES (1, 'old', 5)")
    told.audited.once()
    told.writer.sql("c", "UPDATE orders SET status = 'changed'",
                    "PRAGMA wal_checkpoint(TRUNCATE)")
    told.audited.once()
    log = told.audited.log(signatures="last")
    line = log.of("update")[0]
    out = told.ask("orders", "1")
    expect("(at some time since %s)" % line["since"] in out, "%s", out)
    out = told.ask("orders", "1", "--at", line["since"])
    expect("perhaps not: a change was found only at " + line["time"] in out, "%s", out)


def test_what_becomes_of_the_table(box):
    told = Told(box, ORDERS, "INSERT INTO orders VALUES (1, 'old', 5)")
    told.change("ALTER TABLE orders RENAME COLUMN status TO state",
                "UPDATE orders SET state = 'new'")
    log = told.change("DROP TABLE orders")      # later than that, also in milliseconds
    lines = told.ask("orders", "1").splitlines()
    ops = [line.split("  ")[1] for line in lines]
    expect(ops == ["read", "schema", "update", "schema"], "%s", lines)
    last = log.of("schema")[-1]["time"]
    told.ask("orders", "1", "--at", last, code=1)
    if log.of("update")[0]["time"] < last:
        out = told.ask("orders", "1", "--at", log.of("update")[0]["time"])
        expect("columns of the table were" in out, "%s", out)


def test_a_row_of_megabytes(box):
    """Lines that verify holds the beginning of only."""
    told = Told(box, ORDERS)
    told.change("INSERT INTO orders VALUES (1, printf('%.*c', 3000000, 'x'), 'end')",
                "INSERT INTO orders VALUES (2, 'short', 'end')")
    lines = told.lines("orders", "1")
    expect(len(lines) == 1, "%s", lines)
    text = told.ask("orders", "1")
    expect(len(text) < 1000 and "xxx\u2026, price: end" in text, "%s", text)
    result = box.run("audit", "report", told.audited.path, "--value", "short", "--json")
    counts = json.loads(result.out)["counts"]
    expect(counts["lines"] == 1 and counts["unreadable"] == 0, "%s", counts)


def test_bytes_that_somebody_wrote_into_a_log(box):
    """No line of them ends the program, steers a terminal or is taken for another row."""
    told = Told(box, TABLE, many(1, 3))
    told.audited.once()
    with open(told.audited.path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    start = b'{"n":9,"time":"x\\u001b[2J","txn":1,"change_id":1,"op":"update","table":"t",'
    bad = [b'"key":{"id":1}', b'"key":{"id":1},"changed":[1]}', b'"key":{"id":1},\xff}',
           b'"key":{"id":1},"changed":{"a\\u001b":["\\u0000\\u009b","\\u202e"],"b":1}}',
           b'"key":{"id":1},"changed":{"a":1e999}}', b'"key":{"id\\"', b'"key":{"id":1',
           b'"key":{"id":1},"by":{"actor":{"x":[' + b"[" * 5000,
           b'"key":{"id":1},"by":7,"op":"delete","old":3,"context_candidates":[1,{}]}',
           b'"key":{"id":2},"new":{"table":"t","key":{"id":1}},"by":"\\u0000"}']
    path = box.path("bad.audit")
    with open(path, "wb") as file:
        file.write(lines[0] + b"".join(start + line + b"\n" for line in bad) + b"{")
    for words in (("t", "1"), ("t", "1", "--at", "2030-01-01T00:00:00Z"),
                  ("t", "1", "--json"), ("t", '{"id":1}')):
        result = box.run("audit", "history", path, *words)
        expect(result.code in (0, 1), "%s", result)
        expect(b"\x1b" not in result.out and "\u202e" not in result.out.decode(), "%s",
               result)
        if "--json" in words:
            expect(json.loads(result.out)["unreadable"] >= 4, "%s", result)
    for name in ("no", box.path("app.db")):
        result = box.run("audit", "history", name, "t", "1")
        expect(result.code == 2 and len(result.error_lines) == 1, "%s", result)
    for words in (("t",), ("t", "1", "2"), ("t", "1", "--csv"), ("t", "1", "--key", "k")):
        result = box.run("audit", "history", path, *words)
        expect(result.code == 2 and len(result.error_lines) == 1, "%s", result)
    return len(bad) + 6

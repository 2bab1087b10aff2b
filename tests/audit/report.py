"""rowtail audit report: who did what."""

import csv
import io
import json

from audit.history import ORDERS, Told, says
from audit.log import TABLE, many
from harness.box import expect


class Reported(Told):
    def report(self, *words, code=0):
        result = self.box.run("audit", "report", self.audited.path, *words)
        expect(result.code == code, "%s: %s", words, result)
        expect(code == 0 or len(result.error_lines) == 1, "%s: %s", words, result)
        return result.out.decode()

    def numbers(self, *words):
        """Of the lines, which stand as in the log; counts, lines and text agree."""
        out = self.report("--json", *words)
        raw = self.audited.log(signatures="last").raw
        answer = json.loads(out)
        numbers = [line["n"] for line in answer["lines"]]
        for n in numbers:
            expect(raw[n].decode() in out, "not as it stands: %s", raw[n])
        expect(answer["counts"]["lines"] == len(numbers), "%s", answer["counts"])
        text = self.report(*words)
        expect(text.startswith("lines: %d" % len(numbers)), "%s", text)
        for n in numbers:
            expect(" line %d: " % n in text, "no line %d: %s", n, text)
        expect(text.count(" line ") == len(numbers), "%s", text)
        return numbers

    def is_what(self, wanted, *words):
        log = self.audited.log(signatures="last")
        numbers = [line["n"] for line in log.lines if wanted(line)]
        expect(numbers, "nothing is wanted of %s", words)
        expect(self.numbers(*words) == numbers, "%s: %s instead of %s", words,
               self.numbers(*words), numbers)


def shop(box):
    told = Reported(box, ORDERS, "CREATE TABLE people(id INTEGER PRIMARY KEY, mail)",
                    "INSERT INTO orders VALUES (1, 'old', 5)")
    told.change((says("alice", "sale"), "INSERT INTO orders VALUES (2, 'new', 5)"),
                (says("alice", "sale"), "INSERT INTO people VALUES (1, 'eve@example.org')"),
                (says("bob", "for eve@example.org"),
                 "UPDATE orders SET status = 'paid' WHERE id = 2"),
                "UPDATE orders SET price = -7 WHERE id = 1",
                (says("bob", ""), "DELETE FROM people"))
    return told


def changes(line):
    return line["op"] in ("insert", "update", "delete")


def columns(line):
    return line.get("changed") or line.get("new") or line.get("old") or {}


def test_which_lines_are_asked_for(box):
    told = shop(box)

    def by(line):
        return (line.get("by") or {}).get("actor")
    told.is_what(lambda l: l["op"] not in ("read", "checkpoint"))
    told.is_what(lambda l: l.get("table") == "orders" and l["op"] != "read",
                 "--table", "orders")
    told.is_what(lambda l: by(l) == "alice", "--by", "alice")
    told.is_what(lambda l: by(l) == "bob" and l["op"] == "delete", "--by", "bob", "--op",
                 "delete")
    told.is_what(lambda l: l["op"] == "read", "--op", "read")
    told.is_what(lambda l: l["op"] == "checkpoint", "--op", "checkpoint")
    told.is_what(lambda l: changes(l) and "price" in columns(l), "--column", "price")
    told.is_what(lambda l: changes(l) and "by" not in l, "--no-context")
    told.is_what(lambda l: "eve@example.org" in json.dumps(l), "--value",
                 "eve@example.org")
    told.is_what(lambda l: "-7" in json.dumps(l.get("changed")), "--value=-7")
    update = told.audited.log(signatures="last").of("update")[0]
    time = update["time"]
    told.is_what(lambda l: l["op"] not in ("read", "checkpoint") and l["time"] <= time,
                 "--until", time)
    told.is_what(lambda l: l["op"] not in ("read", "checkpoint") and l["time"] >= time,
                 "--since", time)
    expect(told.numbers("--by", "nobody") == [], "nobody")
    expect(told.numbers("--until", "2001-01-01T00:00:00Z") == [], "long ago")
    return 14


def test_what_people_read(box):
    told = shop(box)
    log = told.audited.log(signatures="last")
    line = log.of("update")[0]
    text = told.report("--table", "orders")
    expect("by table: orders 4\nby op: update 2, insert 1, schema 1\n"
           "by whom: alice 1, bob 1, nobody named 1\n" in text, "%s", text)
    expect("%s line %d: bob changed orders 2: status: new \u2192 paid "
           "(reason: for eve@example.org)\n" % (line["time"], line["n"]) in text, "%s",
           text)
    expect("nobody named changed orders 1: price: 5 \u2192 -7\n" in text, "%s", text)
    text = told.report("--op", "stop")
    expect(" line %d: stop: " % log.of("stop")[0]["n"] in text, "%s", text)


def test_csv_is_read_by_others_and_is_no_formula(box):
    told = Reported(box, TABLE)
    values = ["=1+1", "+1", "-1+2", "@a", "\tx", 'a "b", c', "two\r\nlines", "",
              "\u00e4\u2192", "plain", "bell\a"]
    log = told.change(*["INSERT INTO t VALUES (%d, '%s')" % (i, v)
                        for i, v in enumerate(values)],
                      "INSERT INTO t VALUES (-9, NULL), (-8, -1.5), (-7, x'2b2b')",
                      "UPDATE t SET a = '=cmd' WHERE id = 9")
    out = told.report("--csv", "--table", "t", "--column", "a")
    expect(out.endswith("\r\n") and "\0" not in out and "\a" not in out, "%r", out)
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    inserted = {row["key"]: row["new"] for row in rows if row["op"] == "insert"}
    for i, value in enumerate(values):
        mark = "'" if value[:1] and value[0] in "=+-@\t" else ""
        expect(inserted[str(i)] == mark + value.replace("\a", "\ufffd"), "%r: %r", value,
               inserted[str(i)])
    expect(inserted["'-9"] == "" and inserted["'-8"] == "-1.5", "%s", inserted)
    update = [row for row in rows if row["op"] == "update"]
    expect([(row["old"], row["new"], row["column"]) for row in update]
           == [("plain", "'=cmd", "a")], "%s", update)
    expect(int(update[0]["n"]) == log.of("update")[0]["n"], "%s", update)
    for cell in (cell for row in rows for cell in row.values()):
        expect(cell[:1] not in ("=", "+", "@"), "a formula: %r", cell)
    everything = list(csv.reader(io.StringIO(told.report("--csv"), newline="")))
    expect({len(row) for row in everything} == {13}, "cells")
    return len(values) + 3


SHELL = {"pid": 12, "exe": "/usr/bin/sqlite3", "uid": 1000, "loginuid": 1000,
         "unit": "session-3.scope"}
OTHER = {"pid": 13, "exe": "=x,\u001b[2J\"\n"}


def test_the_process_is_told_where_the_log_has_it(box):
    told = shop(box)
    path = told.audited.path
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    sure, among, gone = [line for line in lines if line["op"] in ("insert", "update")][:3]
    silent = [line for line in lines if changes(line) and "by" not in line][0]
    sure["process"], silent["process"] = SHELL, OTHER
    among["process_candidates"] = [SHELL, {"pid": 0}]
    gone["process"] = {"pid": 14}
    [line for line in lines if line["op"] == "schema"][0]["process"] = {"pid": 15}
    with open(path, "w") as file:
        file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    text = told.report()
    shell = "process /usr/bin/sqlite3 (pid 12, uid 1000, loginuid 1000, session-3.scope)"
    expect("by program: " in text and "one of several 1" in text and
           "of unknown name 2" in text, "%s", text)
    expect("\x1b" not in text, "%r", text)
    rows = {int(line.split(" ")[2][:-1]): line for line in text.splitlines()
            if " line " in line}
    expect(rows[sure["n"]].endswith(" (by %s)" % shell) and ": alice " in rows[sure["n"]],
           "%s", rows[sure["n"]])
    expect(rows[among["n"]].endswith(" (by one of %s or process (pid 0))" % shell), "%s",
           rows[among["n"]])
    expect(rows[gone["n"]].endswith(" (by process (pid 14))"), "%s", rows[gone["n"]])
    expect(": process " in rows[silent["n"]] and "(pid 13) changed" in rows[silent["n"]],
           "%s", rows[silent["n"]])
    counts = json.loads(told.report("--json"))["counts"]
    expect(counts["programs"]["/usr/bin/sqlite3"] == 1, "%s", counts)
    found = json.loads(told.report("--json", "--value", "session-3.scope"))["lines"]
    expect([line["n"] for line in found] == [sure["n"], among["n"]], "%s", found)
    table = list(csv.DictReader(io.StringIO(told.report("--csv"), newline="")))
    expect({row["process"] for row in table if row["n"] == str(sure["n"])} == {shell},
           "%s", table)
    key = str(silent["key"]["id"])
    for part, row in ((silent, told.ask("orders", key)), (sure, told.ask("orders", "2"))):
        expect("by process " in row if part is silent else "by alice" in row, "%s", row)
        expect((", " + shell in row) == (part is sure), "%s", row)
    expect("nobody named" not in told.ask("orders", key), "somebody is")


def test_who_may_have_done_it(box):
    """A catch-up has several transactions in one: nobody is named for it, and those who
    may have done it are counted apart."""
    told = Reported(box, "CREATE TABLE who(id INTEGER PRIMARY KEY, actor TEXT)", TABLE,
                    many(1, 10),
                    args=("-D", "transaction.context.table=who"))
    told.audited.once()
    for name in ("alice", "bob"):
        told.writer.sql("c", "BEGIN", "UPDATE t SET a = '%s' WHERE id = %d" % (
            name, len(name)), "INSERT INTO who(actor) VALUES ('%s')" % name, "COMMIT")
    told.writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    told.audited.once()
    log = told.audited.log(signatures="last")
    update = [line for line in log.of("update") if "context_candidates" in line]
    expect(told.numbers("--no-context"), "nobody is named")
    expect(len(update) == 2, "%s", log.of("update"))
    expect(told.numbers("--by", "alice") == [], "a guess")
    expect("perhaps also: " in told.report("--by", "alice"), "candidates")
    expect(" one of alice or bob changed " in told.report(), "candidates")


def test_usage_and_bytes_that_somebody_wrote(box):
    told = shop(box)
    path = told.audited.path
    for words in (("--csv", "--json"), ("--since", "x"), ("--until", "latest"),
                  ("--at", "-1h"), ("--key", "k"), ("t",), ("--from", "3")):
        told.report(*words, code=2)
    for words in ((path, "--csv"), ("audit", "cat", path, "--by", "x"),
                  ("audit", "verify", path, "--since", "-1h")):
        result = box.run(*words)
        expect(result.code == 2 and len(result.error_lines) == 1, "%s", result)
    with open(path, "rb") as file:
        first = file.readline()
    bad = [b"", b"[]", b"{}", b'{"op":1,"table":2,"key":3}', b"\xff\x00", b"[" * 9000,
           b'{"op":"update","table":"t\\u001b[2J\\u0000","changed":{"\\u009b":[1]}}',
           b'{"op":"insert","new":{"a":1},"table":"x"}', b'{"op":"","by":{"a":[{}]}}',
           b'{"op":"a","time":"\\r","context_candidates":[[],{"actor":"\\u202e"}],'
           b'"since":"\\u0007"}']
    with open(path, "wb") as file:
        file.write(first + b"\n".join(bad))
    for words in ((), ("--json",), ("--csv",), ("--by", "a"), ("--value", "1")):
        out = told.report(*words)
        if "--json" in words:
            expect(json.loads(out)["counts"]["unreadable"] >= 4, "%s", out)
        elif "--csv" not in words:
            expect("\x1b" not in out and "\u202e" not in out, "%r", out)
    return 10 + 5 * len(bad)

"""The filters of docs/audit.md that make other formats of lines: what comes of them is read
by parsers of those formats, and must be what the lines tell."""

import json
import os
import re
import subprocess

from audit.log import Audited
from cli.context import CONTEXT
from harness.box import TESTS, expect

NASTY = 'a]b"c\\d=e|f\ng\th [x="y"] é \\] \\= =\\'
ROWS = ("insert", "update", "delete", "read")


def filters(box):
    """Of the documents, in their order: RFC 5424, CEF, OCSF."""
    with open(os.path.join(TESTS, "..", "docs", "audit.md"), encoding="utf-8") as file:
        found = re.findall(r"```jq\n(.*?)```", file.read(), re.S)
    expect(len(found) == 3, "%d filters", len(found))
    return found


class Exported:
    """A log whose names and values have what has a meaning in those formats."""

    def __init__(self, box):
        self.box = box
        self.jq = box.need_tool("jq")
        writer, path = box.database(CONTEXT, "CREATE TABLE done(i)")
        self.audited = Audited(box, path, "-D",
                               "transaction.context.table=rowtail_context")
        name = '"%s"' % NASTY.replace('"', '""')
        text = "'%s'" % NASTY
        writer.sql("c", "CREATE TABLE %s(k TEXT PRIMARY KEY, %s)" % (name, name),
                   "INSERT INTO %s VALUES ('there', 1)" % name)
        tail = self.audited.start()
        for sql in ("INSERT INTO %s VALUES (%s, %s)" % (name, text, text),
                    "UPDATE %s SET k = k, %s = NULL WHERE k = %s" % (name, name, text),
                    "DELETE FROM %s WHERE k = %s" % (name, text)):
            writer.sql("c", "BEGIN", "INSERT INTO rowtail_context(id, seq, actor, reason)"
                       " VALUES (1, 1, %s, %s) ON CONFLICT(id) DO UPDATE SET seq = seq + 1"
                       % (text, text), sql, "COMMIT")
        writer.sql("c", "INSERT INTO done VALUES (1)")
        box.wait_until(lambda: b'"table":"done","key"' in open(
            self.audited.path, "rb").read(), timeout=20)
        box.stop(tail)
        log = self.audited.log(signatures="last")
        self.lines = [line for line in log.lines if line["op"] in ROWS]
        expect([line["op"] for line in self.lines] == [
            "read", "insert", "update", "delete", "insert"], "%s", self.lines)
        expect(sum("by" in line for line in self.lines) == 3, "%s", self.lines)

    def run(self, source):
        """What the filter gives for each line of a row."""
        path = self.box.path("filter.jq")
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
        with open(self.audited.path, "rb") as log:
            done = subprocess.run([self.jq, "-rf", path], stdin=log,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        expect(done.returncode == 0, "jq: %s", done.stderr.decode())
        out = done.stdout.decode().split("\n")
        expect(out.pop() == "" and len(out) == len(self.lines), "%d lines: %s", len(out), out)
        return zip(self.lines, out)


def what(line):
    return {name: line[name] for name in ("changed", "old", "new") if name in line}


def one_line(text):
    """What is no character that can be seen is a space."""
    return re.sub("[\0-\x1f\x7f]", " ", text)


def plain(value):
    return value if isinstance(value, str) else json.dumps(
        value, separators=(",", ":"), ensure_ascii=False)


def elements(text):
    """The parameters of structured data of RFC 5424, and what is behind it."""
    at, found = text.index(" ") + 1, {}
    expect(text[0] == "[" and text[1:at - 1] == "rowtail@32473", "%s", text)
    while True:
        name, at = text[at:text.index("=", at)], text.index("=", at) + 1
        expect(text[at] == '"', "%s", text[at:])
        value, at = "", at + 1
        while text[at] != '"':
            expect(text[at] != "]", "a ] that ends nothing: %s", text)
            at += text[at] == "\\"
            value, at = value + text[at], at + 1
        found[name] = value
        at += 1
        if text[at] == "]":
            return found, text[at + 2:]
        at += 1


def test_syslog(box):
    for line, text in Exported(box).run(filters(box)[0]):
        head, rest = text[:text.index("[")].split(" "), text[text.index("["):]
        expect(head == ["<110>1", line["time"], "-", "rowtail", "-", line["op"], ""], "%s",
               head)
        found, message = elements(rest)
        actor = line["by"]["actor"] if "by" in line else "-"
        expect(found == {"n": str(line["n"]), "txn": str(line["txn"]),
                         "table": one_line(line["table"]), "by": one_line(actor),
                         "key": one_line(plain(line["key"]))}, "%s\n%s", line, text)
        expect(json.loads(message) == what(line), "%s\n%s", line, message)


def test_cef(box):
    for line, text in Exported(box).run(filters(box)[1]):
        parts = re.match(r"((?:\\.|[^\\|])*)\|" * 7 + "(.*)$", text, re.S).groups()
        expect(parts[0] == "CEF:0" and parts[1:5] == ("rowtail", "rowtail", "1", line["op"]),
               "%s", text)
        name = re.sub(r"\\(.)", r"\1", parts[5])
        expect(name == "%s in %s" % (line["op"], line["table"].replace("\n", " ")), "%s", text)
        ways = {"n": "\n", "r": "\r"}
        found = {key: re.sub(r"\\(.)", lambda m: ways.get(m[1], m[1]), value)
                 for key, value in re.findall(
                     r"(\w+)=((?:\\.|[^\\=])*?)(?= \w+=|$)", parts[7])}
        by = line.get("by", {"actor": "-", "reason": "-"})
        expect(found.pop("rt")[-3:] == line["time"][20:23], "%s", text)
        expect(json.loads(found.pop("msg")) == what(line), "%s", text)
        expect(found == {"externalId": str(line["n"]), "suser": by["actor"],
                         "reason": by["reason"], "cs1Label": "table", "cs2Label": "key",
                         "cs1": line["table"], "cs2": plain(line["key"])}, "%s\n%s", line,
               found)


def test_ocsf(box):
    kinds = {"insert": 1, "read": 2, "update": 3, "delete": 4}
    for line, text in Exported(box).run(filters(box)[2]):
        event = json.loads(text)
        expect((event["class_uid"], event["category_uid"]) == (3004, 3), "%s", event)
        expect(event["activity_id"] == kinds[line["op"]] == event["type_uid"] - 300400,
               "%s", event)
        expect(event["time"] % 1000 == int(line["time"][20:23]), "%s", event)
        expect(event["metadata"]["uid"] == str(line["n"]), "%s", event)
        changed = line.get("changed", {})
        for side, rows, place in (("entity", "old", 0), ("entity_result", "new", 1)):
            data = line.get(rows, {name: pair[place] for name, pair in changed.items()})
            expect(event[side]["name"] == line["table"] and event[side]["data"] == data and
                   json.loads(event[side]["uid"]) == line["key"], "%s\n%s", line, event)
        expect(event["actor"]["user"]["name"] == (
            line["by"]["actor"] if "by" in line else "unknown"), "%s", event)

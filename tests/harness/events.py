"""Checks the lines that the program prints against expected events, field by field."""

import json
import re
import time

from .expect import ANY, json_value, short

VALUE_FIELDS = ["before", "after", "source", "transaction", "op",
                "ts_ms", "ts_us", "ts_ns"]
SOURCE_FIELDS = ["version", "connector", "name", "ts_ms", "snapshot", "db", "sequence",
                 "ts_us", "ts_ns", "table", "change_id", "lsn", "rowid"]
RECORD_FIELDS = ["topic", "key", "value", "headers"]


class Mismatch(Exception):
    """An emitted line is not what the documents demand."""


class JsonFloat(float):
    """A float that remembers how it was written."""

    __slots__ = ("text",)


def parse_float(text):
    number = JsonFloat(text)
    number.text = text
    return number


def parse_constant(text):
    raise Mismatch("not JSON: %s" % text)


decoder = json.JSONDecoder(parse_float=parse_float, parse_constant=parse_constant)


def parse_line(line):
    """One whole line of output as Python values."""
    if not line.endswith(b"\n"):
        raise Mismatch("line is not whole: %r" % line[-200:])
    try:
        return decoder.decode(line.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise Mismatch("not a JSON line (%s): %r" % (problem, line[:400]))


def digits(text):
    mantissa = re.split("[eE]", text)[0]
    return len(mantissa.replace("-", "").replace(".", "").strip("0"))


def check_float_text(number):
    text = number.text
    if "." not in text and "e" not in text and "E" not in text:
        raise Mismatch("REAL without point or exponent: %s" % text)
    if number in (float("inf"), float("-inf")):
        raise Mismatch("number out of range: %s" % text)
    if digits(text) > digits(repr(float(text))):
        raise Mismatch("REAL %s is not the shortest form, %r is" % (text, float(text)))


def same_value(got, want, binary="bytes"):
    if want is ANY:
        return True
    want = json_value(want, binary)
    if isinstance(want, float):
        if not isinstance(got, JsonFloat):
            return False
        check_float_text(got)
        return float(got).hex() == want.hex()
    if isinstance(want, str) and "\ufffd" in want:
        # How many U+FFFD stand for one broken sequence is left open.
        return (isinstance(got, str)
                and re.sub("\ufffd+", "\ufffd", got) == re.sub("\ufffd+", "\ufffd", want))
    return type(got) is type(want) and got == want


def check_row(what, got, names, want, binary="bytes"):
    if want is None or got is None:
        if got is not None or want is not None:
            raise Mismatch("%s is %s, expected %s" % (what, short(got), short(want)))
        return
    if list(got) != names:
        raise Mismatch("%s has columns %r, expected %r" % (what, list(got), names))
    for name, value in zip(names, want):
        if not same_value(got[name], value, binary):
            raise Mismatch("%s.%s is %s, expected %s" % (
                what, name, short(got[name]), short(value)))


def check_key(what, got, want, binary="bytes"):
    if want is None or got is None:
        if got is not None or want is not None:
            raise Mismatch("%s is %s, expected %s" % (what, short(got), short(want)))
        return
    check_row(what, got, list(want), list(want.values()), binary)


def check_times(holder, what):
    ms, us, ns = holder["ts_ms"], holder["ts_us"], holder["ts_ns"]
    for value in (ms, us, ns):
        if type(value) is not int:
            raise Mismatch("%s.ts_* is %r" % (what, value))
    if us // 1000 != ms or ns // 1000 != us:
        raise Mismatch("%s: ts_ms %d, ts_us %d, ts_ns %d are not one instant" % (
            what, ms, us, ns))
    if abs(ms / 1000 - time.time()) > 86400:
        raise Mismatch("%s.ts_ms %d is not about now" % (what, ms))


def topic_name(text):
    units = []
    for char in text:
        good = char.isascii() and (char.isalnum() or char in "._-")
        units.append(char if good else "_" * (2 if ord(char) > 0xffff else 1))
    name = "".join(units)[:249]
    return {".": "_", "..": "__"}.get(name, name)


class Settings:
    """What was asked of the program, as far as it shapes its lines."""

    def __init__(self, database, prefix=None, record=False, metadata=False,
                 tombstones=True, skipped="", binary="bytes", context=None):
        self.database = database
        self.prefix = prefix or re.sub(r"\.[^.]*$", "", database)
        self.record = record
        self.metadata = metadata
        self.tombstones = tombstones
        self.skipped = set(skipped)
        self.binary = binary
        self.context = context      # transaction.context.table

    def arguments(self):
        args = []
        if self.record:
            args.append("--lines=record")
        if self.metadata:
            args += ["-D", "provide.transaction.metadata=true"]
        if not self.tombstones:
            args += ["-D", "tombstones.on.delete=false"]
        if self.skipped:
            args += ["-D", "skipped.operations=" + ",".join(sorted(self.skipped))]
        if self.binary != "bytes":
            args += ["-D", "binary.handling.mode=" + self.binary]
        if self.context:
            args += ["-D", "transaction.context.table=" + self.context]
        return args


class LineChecker:
    """Follows the whole stream of one run: positions, numbers, transactions."""

    def __init__(self, settings):
        self.settings = settings
        self.previous_lsn = None
        self.change_id = 0
        self.events = 0
        self.context = None

    def wanted(self, events):
        """The events that pass the filters."""
        return [e for e in events if e.op not in self.settings.skipped]

    def line_count(self, events):
        events = self.wanted(events)
        if not events:
            return 0
        count = len(events)
        if self.settings.record and self.settings.tombstones:
            count += sum(e.op == "d" for e in events)
        if self.settings.metadata and events[0].op != "r":
            count += 2
        return count

    def check_transaction(self, lines, events, ordered=True, context=None):
        """`lines` (raw) are all lines of one transaction with `events`; each has that
        context, if there is a table of it."""
        self.context = context
        events = self.wanted(events)
        parsed = [parse_line(line) for line in lines]
        for line in lines:
            start = b'{"topic":' if self.settings.record else b'{'
            if not line.startswith(start) or line.startswith(b"{ "):
                raise Mismatch("line begins %r" % line[:40])
        if self.settings.record:
            for record in parsed:
                if list(record) != RECORD_FIELDS:
                    raise Mismatch("record has fields %r" % list(record))
        if self.settings.metadata and events[0].op != "r":
            begin, end = parsed[0], parsed[-1]
            parsed = parsed[1:-1]
        else:
            begin = end = None
        if not ordered:
            parsed, events = self._pair_up(parsed, events)
        lsns = {self._value(p)["source"]["lsn"] for p in parsed
                if self._value(p) is not None and "source" in self._value(p)}
        if len(lsns) != 1:
            raise Mismatch("one transaction has events of lsn %r" % sorted(lsns))
        lsn = lsns.pop()
        if type(lsn) is not int or (
                self.previous_lsn is not None and lsn <= self.previous_lsn):
            raise Mismatch("lsn %r after %r" % (lsn, self.previous_lsn))
        sequence = json.dumps(
            [None if self.previous_lsn is None else str(self.previous_lsn), str(lsn)],
            separators=(",", ":"))
        counts = {}
        stamps = set()
        index = 0
        for event in events:
            counts[event.table] = counts.get(event.table, 0) + 1
            order = (sum(counts.values()), counts[event.table])
            self._check_event(parsed[index], event, lsn, sequence, order)
            stamps.add(self._value(parsed[index])["source"]["ts_ns"])
            index += 1
            if (event.op == "d" and self.settings.record and self.settings.tombstones):
                self._check_tombstone(parsed[index], event)
                index += 1
        if len(stamps) != 1:
            raise Mismatch("one transaction has several source.ts_ns: %r" % stamps)
        if begin is not None:
            self._check_metadata(begin, "BEGIN", lsn, None)
            self._check_metadata(end, "END", lsn, counts)
        self.previous_lsn = lsn
        self.events += len(events)

    def _value(self, parsed):
        return parsed["value"] if self.settings.record else parsed

    def _pair_up(self, parsed, events):
        """Tables whose order we cannot know: bring the events into the order of the
        lines, by content."""
        rest = list(events)
        result = []
        for line in parsed:
            value = self._value(line)
            if value is None:
                continue
            for event in rest:
                try:
                    self._check_images(value, event)
                except Mismatch:
                    continue
                result.append(event)
                rest.remove(event)
                break
            else:
                raise Mismatch("not expected: %s" % short(value))
        return parsed, result

    def _check_images(self, value, event):
        if value.get("op") != event.op or value["source"]["table"] != event.table:
            raise Mismatch("op %r on table %r, expected %r on %r" % (
                value.get("op"), value.get("source", {}).get("table"),
                event.op, event.table))
        binary = self.settings.binary
        check_row("before", value["before"], event.names, event.before, binary)
        check_row("after", value["after"], event.names, event.after, binary)

    def _check_event(self, parsed, event, lsn, sequence, order):
        settings = self.settings
        value = self._value(parsed)
        if value is None:
            raise Mismatch("a tombstone where %s was expected" % event)
        if list(value) != VALUE_FIELDS + (["context"] if settings.context else []):
            raise Mismatch("event has fields %r" % list(value))
        if settings.context and value["context"] != self.context:
            raise Mismatch("context is %r, expected %r" % (
                value["context"], self.context))
        self._check_images(value, event)
        source = value["source"]
        if list(source) != SOURCE_FIELDS:
            raise Mismatch("source has fields %r" % list(source))
        self.change_id += 1
        want = {"connector": "sqlite", "name": settings.prefix, "db": settings.database,
                "table": event.table, "sequence": sequence, "lsn": lsn,
                "change_id": self.change_id, "rowid": event.rowid,
                "snapshot": event.marker}
        for field, expected in want.items():
            if source[field] != expected or type(source[field]) is not type(expected):
                raise Mismatch("source.%s is %r, expected %r" % (
                    field, source[field], expected))
        if not isinstance(source["version"], str) or not source["version"]:
            raise Mismatch("source.version is %r" % source["version"])
        check_times(source, "source")
        check_times(value, "event")
        block = None
        if settings.metadata and event.op != "r":
            block = {"id": str(lsn), "total_order": order[0],
                     "data_collection_order": order[1]}
        if value["transaction"] != block or (
                block and list(value["transaction"]) != list(block)):
            raise Mismatch("transaction is %r, expected %r" % (
                value["transaction"], block))
        if settings.record:
            self._check_envelope(parsed, event)
            headers = parsed["headers"]
            name = {"d": "__debezium.newkey", "c": "__debezium.oldkey"}.get(event.op)
            self._check_key_header(headers, name, event)

    def _check_envelope(self, parsed, event):
        topic = topic_name(self.settings.prefix + "." + event.table)
        if parsed["topic"] != topic:
            raise Mismatch("topic is %r, expected %r" % (parsed["topic"], topic))
        check_key("key", parsed["key"], event.key, self.settings.binary)
        if not isinstance(parsed["headers"], dict):
            raise Mismatch("headers are %r" % (parsed["headers"],))

    def _check_key_header(self, headers, name, event):
        allowed = {name} if name else set()
        if set(headers) - allowed:
            raise Mismatch("headers %r, expected at most %r" % (headers, allowed))
        if name not in headers:
            if event.other_key is not None and not event.other_key_open:
                raise Mismatch("no header %s on %s" % (name, event))
            return
        if event.other_key is None and not event.other_key_open:
            raise Mismatch("header %s = %r on %s" % (name, headers[name], event))
        if event.other_key is not None:
            check_key(name, headers[name], event.other_key, self.settings.binary)

    def _check_tombstone(self, parsed, event):
        if parsed["value"] is not None:
            raise Mismatch("no tombstone after %s" % event)
        self._check_envelope(parsed, event)
        self._check_key_header(parsed["headers"], "__debezium.newkey", event)

    def _check_metadata(self, parsed, status, lsn, counts):
        value = self._value(parsed)
        fields = ["status", "id", "event_count", "data_collections", "ts_ms"]
        if value is None or list(value) != fields:
            raise Mismatch("%s message is %s" % (status, short(value)))
        total, per_table = None, None
        if counts is not None:
            total = sum(counts.values())
            per_table = sorted(counts.items())
        got = value["data_collections"]
        if got is not None:
            if any(list(c) != ["data_collection", "event_count"] for c in got):
                raise Mismatch("data_collections are %r" % got)
            got = sorted((c["data_collection"], c["event_count"]) for c in got)
        if (value["status"], value["id"], value["event_count"], got) != (
                status, str(lsn), total, per_table):
            raise Mismatch("%s message is %r, expected id %s, %r events, %r" % (
                status, value, lsn, total, per_table))
        if self.settings.record:
            if parsed["topic"] != topic_name(self.settings.prefix + ".transaction"):
                raise Mismatch("%s has topic %r" % (status, parsed["topic"]))
            if parsed["key"] != {"id": str(lsn)} or parsed["headers"] != {}:
                raise Mismatch("%s has key %r, headers %r" % (
                    status, parsed["key"], parsed["headers"]))

#!/usr/bin/env python3
"""A stand-in for rowtail that compares whole states: slow, one commit at a time only.

It exists to show that the harness accepts right lines and finds wrong ones: FAKE_FAULT
names an error that it plants in about every thirtieth event (see FAULTS).
"""

import argparse
import json
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness import expect  # noqa: E402
from harness.events import topic_name  # noqa: E402
from harness.state import StateReader  # noqa: E402
from oracle.oracle import reader_setup  # noqa: E402

FAULTS = ["drop", "twice", "wrong-before", "wrong-after", "no-change-u", "order",
          "lsn-repeats", "lsn-differs", "float", "gap", "no-tombstone", "field-order",
          "column-order", "key", "oldkey", "sequence", "rowid", "stamp", "int-as-real",
          "late-extra", "exit", "marker"]


class Fake:
    def __init__(self, options, fault):
        self.options = options
        self.fault = fault
        self.rng = random.Random(5)
        self.lsn = 10
        self.previous = None
        self.change_id = 0
        self.base = os.path.basename(options.database)
        self.properties = dict(d.split("=", 1) for d in options.D)
        self.prefix = self.properties.get("topic.prefix",
                                          os.path.splitext(self.base)[0])
        self.binary = self.properties.get("binary.handling.mode", "bytes")
        self.skipped = self.properties.get("skipped.operations", "").split(",")
        self.lines = []

    def planted(self, name):
        return self.fault == name and self.rng.random() < 0.03

    def row(self, names, values):
        if values is None:
            return None
        out = {}
        for name, value in zip(names, values):
            value = None if value is expect.ANY else expect.json_value(value, self.binary)
            if self.fault == "int-as-real" and type(value) is int and self.planted(
                    "int-as-real"):
                value = float(value)
            out[name] = value
        if self.planted("column-order") and len(out) > 1:
            out = dict(reversed(list(out.items())))
        return out

    def put(self, topic, key, value, headers):
        if self.options.lines == "record":
            value = {"topic": topic, "key": key, "value": value, "headers": headers}
        elif value is None:
            return
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if self.planted("float"):
            text = text.replace(".5", ".50000000000000000001", 1)
        self.lines.append(text)

    def is_wanted(self, event):
        include = self.properties.get("table.include.list", ".*").split(",")
        exclude = self.properties.get("table.exclude.list", "").split(",")

        def listed(patterns):
            return any(re.fullmatch(p, event.table, re.IGNORECASE) for p in patterns)
        return (event.op not in self.skipped and listed(include)
                and not listed(exclude))

    def emit(self, events):
        events = [e for e in events if self.is_wanted(e)]
        if not events:
            return
        if self.planted("order") and len(events) > 1:
            events = [events[-1]] + events[:-1]
        if not self.planted("lsn-repeats"):
            self.lsn += 3
        metadata = self.properties.get("provide.transaction.metadata") == "true"
        block_id = str(self.lsn)
        read = events[0].op == "r"
        if metadata and not read:
            self.put(self.prefix + ".transaction", {"id": block_id}, {
                "status": "BEGIN", "id": block_id, "event_count": None,
                "data_collections": None, "ts_ms": int(time.time() * 1000)}, {})
        counts = {}
        now = time.time_ns()
        for event in events:
            if self.planted("drop"):
                continue
            self.event(event, now, metadata and not read, block_id, counts)
            if self.planted("twice"):
                self.event(event, now, metadata and not read, block_id, counts)
        if metadata and not read:
            self.put(self.prefix + ".transaction", {"id": block_id}, {
                "status": "END", "id": block_id, "event_count": sum(counts.values()),
                "data_collections": [{"data_collection": k, "event_count": v}
                                     for k, v in counts.items()],
                "ts_ms": int(time.time() * 1000)}, {})
        self.previous = self.lsn
        self.flush()

    def event(self, event, now, metadata, block_id, counts):
        counts[event.table] = counts.get(event.table, 0) + 1
        self.change_id += 2 if self.planted("gap") else 1
        before, after = event.before, event.after
        if before and self.planted("wrong-before"):
            before = [None] * len(before)
        if after and self.planted("wrong-after"):
            after = [None] * len(after)
        if event.op == "u" and self.planted("no-change-u"):
            after = before
        stamp = now + (1000 if self.planted("stamp") else 0)
        sequence = [None if self.previous is None else str(self.previous), str(self.lsn)]
        if self.planted("sequence"):
            sequence[0] = "1"
        source = {"version": "fake", "connector": "sqlite", "name": self.prefix,
                  "ts_ms": stamp // 10**6, "snapshot": "true" if self.planted("marker")
                  else event.marker, "db": self.base,
                  "sequence": json.dumps(sequence, separators=(",", ":")),
                  "ts_us": stamp // 1000, "ts_ns": stamp, "table": event.table,
                  "change_id": self.change_id,
                  "lsn": self.lsn + self.planted("lsn-differs"),
                  "rowid": 77 if self.planted("rowid") else event.rowid}
        value = {"before": self.row(event.names, before),
                 "after": self.row(event.names, after), "source": source,
                 "transaction": {"id": block_id, "total_order": sum(counts.values()),
                                 "data_collection_order": counts[event.table]}
                 if metadata else None,
                 "op": event.op, "ts_ms": stamp // 10**6, "ts_us": stamp // 1000,
                 "ts_ns": stamp}
        if self.planted("field-order"):
            value = dict(reversed(list(value.items())))
        key = None
        if event.key is not None:
            key = {k: expect.json_value(v) for k, v in event.key.items()}
            if self.planted("key"):
                key = None
        headers = {}
        if event.other_key is not None and not self.planted("oldkey"):
            name = "__debezium.newkey" if event.op == "d" else "__debezium.oldkey"
            headers[name] = {k: expect.json_value(v) for k, v in event.other_key.items()}
        topic = topic_name(self.prefix + "." + event.table)
        self.put(topic, key, value, headers)
        if (event.op == "d" and not self.planted("no-tombstone")
                and self.properties.get("tombstones.on.delete") != "false"):
            self.put(topic, key, None, headers)

    def flush(self):
        for line in self.lines:
            sys.stdout.buffer.write(line.encode() + b"\n")
        sys.stdout.flush()
        self.lines = []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("database")
    parser.add_argument("-D", action="append", default=[])
    parser.add_argument("--lines", default="value")
    parser.add_argument("--snapshot", action="store_true")
    options = parser.parse_args()
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    fake = Fake(options, os.environ.get("FAKE_FAULT", ""))
    reader = StateReader(options.database, lambda db: (
        reader_setup(db), db.execute("PRAGMA writable_schema = ON")))
    reader.open()
    version = reader.db.execute("PRAGMA data_version").fetchone()
    state = reader.read()
    print("rowtail: following %s" % options.database, file=sys.stderr, flush=True)
    if options.snapshot:
        fake.emit(expect.snapshot(state))
    while not stop:
        now = reader.db.execute("PRAGMA data_version").fetchone()
        if now != version:
            version = now
            new = reader.read()
            vacuum = os.path.exists(options.database + ".vacuum")
            fake.emit(expect.step(state, new, vacuum=vacuum)[0])
            state = new
            if fake.planted("exit"):
                sys.exit(1)
        time.sleep(0.0003)
    if fake.fault == "late-extra":
        fake.emit(expect.snapshot(state)[:1])
    reader.close()


if __name__ == "__main__":
    main()

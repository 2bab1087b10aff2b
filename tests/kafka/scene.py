"""One database, its topics, and what a read_committed consumer finds in them."""

import json
import random
import time

from harness.box import Failed, expect
from harness.events import Mismatch
from state.consumer import Message, Replica, Stream, dump, read_state

from kafka import librdkafka
from kafka.env.broker import Broker

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def own_broker(box, name="broker", **more):
    """A broker of this check alone, not started yet; stopped with the box."""
    box.options.bed.shared()            # is there Java at all?
    broker = Broker(box.path(name), **more)
    box.opened.append(broker)
    return broker


class Scene:
    def __init__(self, box, *statements, broker=None, args=(), name="app.db"):
        self.box = box
        self.broker = broker or box.options.bed.shared()
        self.prefix = "t%010x" % random.getrandbits(40)
        self.state = box.path("state-" + name)
        self.args = list(args)
        self.writer, self.path = box.database(*(statements or [TABLE]), name=name)

    # -- rowtail -----------------------------------------------------------------------

    def arguments(self, *more):
        return [self.path, "--to", "kafka://" + self.broker.address,
                "--state", self.state, "-D", "topic.prefix=" + self.prefix,
                *self.args, *more]

    def start(self, *more, wait=True):
        return self.box.tail(*self.arguments(*more), wait=wait)

    def stop(self, tail, **more):
        self.box.stop(tail, **more)

    def once(self, *more, timeout=60, code=0):
        """Runs it with --once and expects an exit code."""
        result = self.box.run(*self.arguments("--once", *more), timeout=timeout)
        expect(result.code == code, "--once: expected exit %d: %s", code, result)
        return result

    def sql(self, *statements):
        return self.writer.sql("c", *statements)

    # -- what is in Kafka --------------------------------------------------------------

    def topics(self):
        """Of this prefix: {name: partitions}."""
        with librdkafka.Admin(self.broker.address) as admin:
            found = admin.topics()
        return {name: count for name, count in found.items()
                if name.startswith(self.prefix + ".")}

    def records(self, *names, committed=True):
        """All records of these tables, by default of all topics of the prefix."""
        topics = ["%s.%s" % (self.prefix, n) for n in names] or list(self.topics())
        return librdkafka.read_all(self.broker.address, topics, committed)

    def records_of(self, topic):
        """Of a topic by its whole name; none if there is no such topic."""
        return librdkafka.read_all(self.broker.address, [topic])

    def messages(self):
        """Events and tombstones in the order in which they were made."""
        return in_order(self.records())

    def check(self):
        """Each change once, in order, and the rows that result are the database's.
        Returns the messages."""
        stream, replica = Stream(self.prefix), Replica(is_whole=True)
        messages = self.messages()
        try:
            for message in stream.add(messages, clean=True):
                if message.is_event:
                    replica.apply(message)
            replica.compare(read_state(self.path))
        except Mismatch as problem:
            raise Failed(str(problem))
        return messages

    def count_events(self):
        return sum(m.is_event for m in self.messages())

    def wait_events(self, count, timeout=30):
        """Until a read_committed consumer sees so many events."""
        deadline = time.monotonic() + timeout * self.box.slow
        while True:
            there = self.count_events()
            if there >= count:
                return
            expect(time.monotonic() < deadline, "%d events of %d are in Kafka after"
                   " %g s", there, count, timeout * self.box.slow)
            time.sleep(0.1)


def json_or_none(data):
    return None if data is None else json.loads(data)


def message_of(record):
    """As a line of --lines=record tells it, so that one consumer judges both."""
    line = dump({"topic": record.topic, "key": json_or_none(record.key),
                 "value": json_or_none(record.value),
                 "headers": {n: json_or_none(v) for n, v in record.headers}})
    return Message(line.encode() + b"\n")


def in_order(records):
    """Messages by change_id, tombstones behind their deletes.

    In each partition change_id must rise: otherwise a key's changes are out of order.
    """
    placed = []
    last = {}
    for record in sorted(records, key=lambda r: (r.topic, r.partition, r.offset)):
        place = (record.topic, record.partition)
        message = message_of(record)
        before, _ = last.get(place, (0, None))
        if message.is_tombstone:
            _, owner = last.get(place, (0, None))
            if owner is None or not owner.is_event or owner.op != "d" \
                    or owner.key != message.key:
                raise Failed("a tombstone behind %r: %r" % (owner, record))
            placed.append(((before, 1), message))
            last[place] = (before, message)
        elif message.is_event:
            if message.change_id <= before:
                raise Failed("change_id %d behind %d: %r" % (
                    message.change_id, before, record))
            placed.append(((message.change_id, 0), message))
            last[place] = (message.change_id, message)
    placed.sort(key=lambda p: p[0])
    return [message for _, message in placed]

"""Signals by a Kafka topic: each is followed once, whatever ends the run, and brokers that
are away, or a topic that is, cost nothing.

KILLS (environment) is the number of kills, by default 24.
"""

import json
import os
import random
import re
import signal
import time

from harness.box import expect
from kafka.access import (PASSWORD, make_certificate, nobody_sees, properties,
                          sasl_settings, secured)
from kafka.librdkafka import Admin, Producer
from kafka.scene import Scene, own_broker

KILLS = int(os.environ.get("KILLS", "24"))
ROWS = 60
ON = ["-D", "signal.enabled.channels=kafka", "-D", "incremental.snapshot.chunk.size=5"]
SNAPSHOT = {"data-collections": ["t"], "type": "incremental"}


class Signals:
    """Sends them as anybody would."""

    def __init__(self, broker, key, topic):
        self.broker = broker
        self.key = key
        self.topic = topic

    def make_topic(self, partitions=1):
        with Admin(self.broker.address) as admin:
            admin.create_topic(self.topic, partitions)

    def remove_topic(self):
        with Admin(self.broker.address) as admin:
            admin.delete_topic(self.topic)

    def send(self, kind, data, key=None, **more):
        value = dict({"type": kind, "data": data}, **more)
        with Producer(self.broker.address) as producer:
            producer.send(self.topic, (key or self.key).encode(),
                          json.dumps(value).encode())

    def send_bytes(self, value):
        with Producer(self.broker.address) as producer:
            producer.send(self.topic, self.key.encode(), value)


def signals_of(scene):
    return Signals(scene.broker, scene.prefix, scene.prefix + "-signal")


def fill(scene, rows=ROWS):
    scene.sql("INSERT INTO t WITH RECURSIVE i(v) AS (SELECT 1 UNION ALL SELECT v + 1"
              " FROM i WHERE v < %d) SELECT v, v * 3 FROM i" % rows)


def asked_rows(messages):
    """The keys of the rows that signals have asked for, in their order."""
    return [m.key["id"] for m in messages
            if m.is_row and m.source["snapshot"] == "incremental"]


def wait(box, claim, told, timeout=60):
    """Until `claim` is true; else `told` says what there is."""
    deadline = time.monotonic() + timeout * box.slow
    while not claim():
        expect(time.monotonic() < deadline, "after %g s: %s", timeout * box.slow, told)
        time.sleep(0.1)


class Told:
    """Made when it is shown."""

    def __init__(self, make):
        self.make = make

    def __str__(self):
        return str(self.make())


def wait_rows(box, scene, count):
    wait(box, lambda: len(asked_rows(scene.messages())) >= count,
         Told(lambda: "%d rows of %d" % (len(asked_rows(scene.messages())), count)))


def test_each_signal_is_followed_once_over_kills(box):
    """kill -9 a moment after each. A run does not even know of the group of the one
    before: what the state directory keeps is enough."""
    chance = random.Random(11)
    scene = Scene(box, args=ON)
    signals = signals_of(scene)
    signals.make_topic()
    fill(scene)
    run = scene.start()
    in_the_middle = 0
    for number in range(KILLS):
        if number % 4 == 3:
            run.kill()                          # it comes while nobody is there
        signals.send("execute-snapshot", SNAPSHOT, id="s%d" % number)
        signals.send("execute-snapshot", SNAPSHOT, key="another")
        time.sleep(chance.choice([0, 0.02, 0.05, 0.1, 0.3]) * chance.random())
        run.kill()
        in_the_middle += len(asked_rows(scene.messages())) < (number + 1) * ROWS
        run = scene.start("-D", "signal.kafka.groupId=g%d" % number)
    wait_rows(box, scene, KILLS * ROWS)
    signals.send("log", {"message": "that is all"})
    said(box, run, "that is all")
    scene.stop(run)
    scene.once()
    rows = asked_rows(scene.check())
    expect(rows == list(range(1, ROWS + 1)) * KILLS, "%d rows, expected %d: %s",
           len(rows), KILLS * ROWS, rows)
    return 1, "%d kills, %d of them before all rows were there, %d signals, %d rows" \
        " each" % (KILLS, in_the_middle, KILLS, ROWS)


test_each_signal_is_followed_once_over_kills.timeout = 90 + KILLS * 8


def lines_about(run, pattern):
    return [t for t in run.errors if re.search(pattern, t)]


def said(box, run, pattern, times=1):
    wait(box, lambda: len(lines_about(run, pattern)) >= times,
         Told(lambda: "not %d times %r: %s" % (times, pattern, run.error_text())))
    expect(len(lines_about(run, pattern)) == times, "not %d times %r: %s", times,
           pattern, run.error_text())


def lines_of(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def test_brokers_and_a_topic_that_are_away(box):
    """The sink is a file, which goes on meanwhile."""
    broker = own_broker(box)
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    out, signals = box.path("out"), Signals(broker, "app", "asks")

    def events(snapshot):
        return [e["after"]["id"] for e in lines_of(out)
                if (e["source"]["snapshot"] == "incremental") == snapshot]

    def wait_for(snapshot, expected):
        wait(box, lambda: events(snapshot) == expected,
             Told(lambda: "%s, not %s" % (events(snapshot), expected)))

    run = box.tail(path, "--to", "file:" + out, "--state", box.path("state"),
                   "-D", "topic.prefix=app", "-D", "signal.kafka.topic=asks",
                   "-D", "signal.kafka.bootstrap.servers=" + broker.address)
    said(box, run, "signals cannot be read from topic asks")
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    wait_for(False, [1])
    broker.start()
    said(box, run, "has no topic asks")
    signals.make_topic(2)
    said(box, run, "topic asks is there")
    said(box, run, "has 2 partitions")
    signals.send_bytes(b"no \xff signal")
    signals.send("execute-snapshot", SNAPSHOT)
    wait_for(True, [1])
    said(box, run, "the signal no .* signal: .*left out")
    broker.kill()
    said(box, run, "signals cannot be read from topic asks", 2)
    writer.sql("c", "INSERT INTO t VALUES (2, 2)")
    wait_for(False, [1, 2])
    broker.start()
    said(box, run, "signals are read from topic asks again")
    signals.send("execute-snapshot", SNAPSHOT)
    wait_for(True, [1, 1, 2])
    signals.remove_topic()
    said(box, run, "has no topic asks", 2)
    signals.make_topic()
    signals.send("execute-snapshot", SNAPSHOT)
    wait_for(True, [1, 1, 2, 1, 2])
    broker.kill()
    began = time.monotonic()
    box.stop(run)
    expect(time.monotonic() - began < 30, "%.1f s", time.monotonic() - began)


test_brokers_and_a_topic_that_are_away.timeout = 300


def test_a_broker_that_stands_still_holds_up_no_stop(box):
    """It may do so while an offset is being committed."""
    broker = own_broker(box).start()
    _, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    signals = Signals(broker, "app", "app-signal")
    signals.make_topic()
    for number in range(5):
        run = box.tail(path, "--to", "file:" + box.path("out"), "--state",
                       box.path("state"), "-D", "topic.prefix=app", "-D",
                       "signal.kafka.bootstrap.servers=" + broker.address)
        signals.send("log", {"message": "number %d" % number})
        box.wait_until(lambda: lines_about(run, "number"), 60, "no signal was taken")
        broker.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(0.1 * number)
            box.stop(run)
        finally:
            broker.process.send_signal(signal.SIGCONT)
        expect([t[-1] for t in lines_about(run, "number")] == [str(number)], "%s",
               run.error_text())


test_a_broker_that_stands_still_holds_up_no_stop.timeout = 240


def test_without_a_state_directory_the_group_keeps_the_place(box):
    broker = box.options.bed.shared()
    writer, path = box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    prefix = "t%010x" % random.getrandbits(40)
    signals = Signals(broker, prefix, prefix + "-signal")
    signals.make_topic()
    arguments = [path, "-D", "topic.prefix=" + prefix,
                 "-D", "signal.kafka.groupId=" + prefix,
                 "-D", "signal.kafka.bootstrap.servers=" + broker.address]
    for number in range(3):
        run = box.tail(*arguments)
        signals.send("log", {"message": "number %d" % number})
        said(box, run, "number %d$" % number)
        time.sleep(0.5)
        box.stop(run)
        expect(len(lines_about(run, "number [0-9]")) == 1, "%s", run.error_text())


def test_the_sinks_tls_and_passwords_are_those_of_its_signals(box):
    certificate, server = make_certificate(box)
    scene = secured(box, "SASL_SSL", sasl_settings("PLAIN", "plain.PlainLoginModule") + (
        "listener.name.secured.ssl.keystore.type=PEM\n"
        "listener.name.secured.ssl.keystore.location=%s\n" % server), ON + properties(
            security_protocol="sasl_ssl", sasl_mechanism="PLAIN", sasl_username="rowtail",
            sasl_password=PASSWORD, ssl_ca_location=certificate))
    signals = signals_of(scene)
    signals.make_topic()
    fill(scene)
    run = scene.start("--verbose")
    signals.send("execute-snapshot", SNAPSHOT)
    wait_rows(box, scene, ROWS)
    scene.stop(run)
    nobody_sees(box, scene, run.errors)
    # Brokers that are named have settings of their own.
    scene.args += ["-D", "signal.kafka.bootstrap.servers="
                   + scene.broker.address_of("SECURED")]
    for name, value in [("security.protocol", "sasl_ssl"), ("sasl.mechanism", "PLAIN"),
                        ("sasl.username", "rowtail"), ("ssl.ca.location", certificate)]:
        scene.args += ["-D", "signal.consumer.%s=%s" % (name, value)]
    wrong = scene.start("-D", "signal.consumer.sasl.password=wrong-pass")
    said(box, wrong, "signals cannot be read from topic .*Authentication")
    expect(not lines_about(wrong, "wrong-pass"), "%s", wrong.error_text())
    scene.stop(wrong)
    signals.send("execute-snapshot", SNAPSHOT)
    run = scene.start("-D", "signal.consumer.sasl.password=" + PASSWORD)
    wait_rows(box, scene, 2 * ROWS)
    scene.stop(run)
    nobody_sees(box, scene, run.errors)
    scene.check()


test_the_sinks_tls_and_passwords_are_those_of_its_signals.timeout = 240

"""A broker that is away, full, or refuses: capture goes on, and nothing is lost."""

import json
import os
import re
import signal
import time

from harness.box import expect
from harness.small_disk import SmallDisk
from kafka.kills import Load, TABLES
from kafka.librdkafka import Admin
from kafka.scene import Scene, own_broker


def lines_about(run, pattern):
    return [t for t in run.errors if re.search(pattern, t)]


def away(scene):
    """What rowtail status says of the broker."""
    result = scene.box.run("status", "--state", scene.state, "--json")
    expect(result.code == 0, "%s", result)
    return json.loads(result.out)["sink_away"]


def test_a_broker_that_is_down_at_the_start(box):
    broker = own_broker(box)
    scene = Scene(box, broker=broker)
    run = scene.start(wait=False)
    scene.sql("INSERT INTO t VALUES (1, 'early')")
    time.sleep(3)
    expect(run.process.poll() is None, "it ended: %s", run.error_text())
    expect(len(lines_about(run, re.escape(broker.address))) == 1,
           "not said once: %s", run.error_text())
    broker.start()
    scene.wait_events(1)
    scene.sql("INSERT INTO t VALUES (2, 'late')")
    scene.wait_events(2)
    scene.stop(run)
    scene.check()


def test_once_gives_up_after_a_minute(box):
    broker = own_broker(box)
    scene = Scene(box, broker=broker)
    result = scene.once(code=1, timeout=90)
    expect(55 < result.seconds, "%s", result)
    expect(broker.address in result.error_lines[-1], "%s", result)


test_once_gives_up_after_a_minute.timeout = 400


def test_a_stop_while_the_broker_is_away_takes_no_more_than_5_s(box):
    broker = own_broker(box).start()
    scene = Scene(box, broker=broker)
    run = scene.start()
    scene.sql("INSERT INTO t VALUES (1, 'x')")
    scene.wait_events(1)
    broker.kill()
    scene.sql("INSERT INTO t VALUES (2, 'y')")
    time.sleep(1)
    began = time.monotonic()
    scene.stop(run)
    expect(time.monotonic() - began < 30, "%.1f s", time.monotonic() - began)
    broker.start()
    scene.once()
    scene.check()


def test_a_broker_that_is_away_in_the_middle(box):
    """The writer goes on, the WAL does not grow, nothing is lost; the log says once
    that it is away, and once that it is back."""
    broker = own_broker(box).start()
    scene = Scene(box, *TABLES, broker=broker)
    run = scene.start()
    load = Load(scene, 5)
    time.sleep(2)
    broker.kill()
    time.sleep(12)
    wal = os.path.getsize(scene.path + "-wal")
    said = len(run.errors)
    told = away(scene)
    expect(told and broker.address in told["text"], "status: %s", told)
    broker.start()
    time.sleep(3)
    box.wait_until(lambda: away(scene) is None, timeout=60)
    load.stop()
    scene.stop(run)
    scene.once()
    events = sum(m.is_event for m in scene.check())
    expect(wal < 16 << 20, "the WAL has %d bytes", wal)
    expect(said < 10 and len(run.errors) < 14, "too much is said: %s", run.error_text())
    return 1, "away for 12 s: %d commits, %d events, lost 0, repeated 0" % (
        load.commits, events)


test_a_broker_that_is_away_in_the_middle.timeout = 400


def test_a_broker_that_stands_still(box):
    """It answers nothing for a while, and keeps the connections."""
    broker = own_broker(box).start()
    scene = Scene(box, *TABLES, broker=broker)
    run = scene.start()
    load = Load(scene, 6)
    time.sleep(1)
    broker.process.send_signal(signal.SIGSTOP)
    time.sleep(8)
    broker.process.send_signal(signal.SIGCONT)
    time.sleep(3)
    load.stop()
    expect(run.process.poll() is None, "it ended: %s", run.error_text())
    scene.stop(run)
    scene.once()
    scene.check()


test_a_broker_that_stands_still.timeout = 400


def test_a_message_that_is_too_large_stops_with_a_clear_line(box):
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  "INSERT INTO t VALUES (1, 'small')")
    scene.once()
    scene.sql("INSERT INTO t VALUES (2, 'small')",
              "INSERT INTO t VALUES (3, zeroblob(2000000))",
              "INSERT INTO t VALUES (4, 'small')")
    said = scene.once(code=1).error_lines[-1]
    expect("message.too.large" in said and scene.prefix + ".t" in said, "%s", said)
    result = scene.once("-D", "message.too.large=skip")
    expect(any("change_id 3" in t and "skipped" in t for t in result.error_lines),
           "no line about what is left out: %s", result)
    ids = [m.after["id"] for m in scene.messages() if m.is_event]
    expect(ids == [1, 2, 4], "%s", ids)


def test_a_topic_with_a_smaller_limit_than_the_producers(box):
    """The broker refuses it, not librdkafka."""
    scene = Scene(box)
    with Admin(scene.broker.address) as admin:
        admin.create_topic(scene.prefix + ".t", 1, max_message_bytes=5000)
    scene.sql("INSERT INTO t VALUES (1, 'small')",
              "INSERT INTO t VALUES (2, hex(randomblob(9000)))",
              "INSERT INTO t VALUES (3, 'small')")
    said = scene.once(code=1).error_lines[-1]
    expect("message.too.large" in said and scene.prefix + ".t" in said, "%s", said)
    scene.once("-D", "message.too.large=skip")
    ids = [m.after["id"] for m in scene.messages() if m.is_event]
    expect(ids == [1, 3], "%s", ids)


def test_a_topic_that_is_deleted_while_it_runs(box):
    """It is made again, or rowtail says so and ends; either way nothing later is
    lost."""
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)")
    run = scene.start()
    scene.sql("INSERT INTO t VALUES (1, 'x')")
    scene.wait_events(1)
    with Admin(scene.broker.address) as admin:
        admin.delete_topic(scene.prefix + ".t")
    scene.sql("INSERT INTO t VALUES (2, 'y')")
    time.sleep(4)
    scene.sql("INSERT INTO t VALUES (3, 'z')")
    if run.wait_exit(10) is None:
        scene.stop(run)
    else:
        expect(run.process.returncode == 1, "exit %s", run.process.returncode)
        expect(scene.prefix + ".t" in run.errors[-1], "%s", run.error_text())
    scene.once()
    ids = [m.after["id"] for m in scene.messages() if m.is_event]
    expect(ids == [2, 3], "%s; stderr:\n%s", ids, run.error_text())


SMALL_LOGS = """log.index.size.max.bytes=65536
log.preallocate=false
log.segment.bytes=1048576
transaction.state.log.segment.bytes=1048576
offsets.topic.segment.bytes=1048576
metadata.log.segment.bytes=8388608
"""


def test_a_full_disk_of_the_broker(box):
    """A broker whose only disk is full ends. It gets room and is started again."""
    box.options.bed.shared()
    disk = SmallDisk(box, "disk", 40 << 20)
    broker = own_broker(box, name="disk/broker", settings=SMALL_LOGS).start()
    scene = Scene(box, *TABLES, broker=broker)
    run = scene.start()
    scene.sql("INSERT INTO a(n, s) VALUES (1, 'first')")
    scene.wait_events(1)
    for _ in range(40):
        scene.sql("INSERT INTO c SELECT hex(randomblob(500)), 1 FROM"
                  " (WITH RECURSIVE i(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM i"
                  " WHERE v < 1000) SELECT v FROM i)")
    box.wait_until(lambda: not broker.is_running, 60, "the broker did not end")
    scene.sql("INSERT INTO a(n, s) VALUES (2, 'while it is full')")
    time.sleep(1)
    expect(run.process.poll() is None, "rowtail ended: %s", run.error_text())
    disk.resize(400 << 20)
    broker.start()
    scene.wait_events(40002, timeout=60)
    scene.stop(run)
    scene.check()


test_a_full_disk_of_the_broker.timeout = 400

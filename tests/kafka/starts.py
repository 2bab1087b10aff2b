"""Starts: state directories and position topics in every combination, fencing, and
databases that use a prefix which is not theirs."""

import json
import os
import shutil
import time

from harness.box import expect
from kafka.librdkafka import Admin, read_all
from kafka.scene import Scene
from state.consumer import summary


def begun(box, name="app.db", rows=5, **more):
    """A database with rows, all of it in Kafka, rowtail stopped."""
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  "INSERT INTO t SELECT value, 'row' FROM json_each('%s')"
                  % json.dumps(list(range(1, rows + 1))), name=name, **more)
    scene.once()
    return scene


def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.sock"))


def position_topic(scene):
    return "__rowtail-position." + scene.prefix


def positions(scene):
    """How many records the position topic has; each start writes one."""
    return len(read_all(scene.broker.address, [position_topic(scene)]))


def test_nothing_written_gives_nothing(box):
    scene = begun(box)
    before = len(scene.records(committed=False))
    for _ in range(3):
        scene.once()
    expect(len(scene.records(committed=False)) == before, "messages came")


def test_a_stop_and_a_start_repeat_nothing(box):
    scene = begun(box)
    for round_ in range(4):
        run = scene.start()
        scene.sql("INSERT INTO t(a) VALUES (%d)" % round_,
                  "UPDATE t SET a = a || '!' WHERE id < 3")
        time.sleep(0.05 * round_)
        scene.stop(run)
        scene.sql("UPDATE t SET a = 'away %d' WHERE id = 4" % round_)
    scene.once()
    scene.check()


def test_a_state_directory_without_its_position_file_takes_kafkas(box):
    """A is behind what Kafka has: adopted, nothing comes twice."""
    scene = begun(box)
    copy(scene.state, box.path("old"))
    scene.sql("INSERT INTO t(a) VALUES ('new')", "DELETE FROM t WHERE id = 1")
    run = scene.start()
    scene.wait_events(7)
    run.kill()
    with open(os.path.join(box.path("old"), "position"), "rb") as file:
        position = file.read()
    with open(os.path.join(scene.state, "position"), "wb") as file:
        file.write(position)
    scene.once()
    scene.sql("UPDATE t SET a = 'later' WHERE id = 2")
    scene.once()
    events = [m for m in scene.check() if m.is_event]
    expect(len(events) == 8, "%s", summary(events))


def test_a_restored_state_directory_is_refused(box):
    """Restored from a backup, and Kafka has what the directory never knew."""
    scene = begun(box)
    copy(scene.state, box.path("old"))
    for i in range(3):
        scene.sql("INSERT INTO t(a) VALUES ('new %d')" % i,
                  "PRAGMA wal_checkpoint(TRUNCATE)")
        scene.once()
    before = len(scene.records(committed=False))
    copy(box.path("old"), scene.state)
    said = scene.once(code=2).error_lines[-1]
    expect("snapshot.mode=when_needed" in said, "%s", said)
    expect(len(scene.records(committed=False)) == before, "messages were sent")


def test_a_lost_state_directory_is_refused(box):
    scene = begun(box)
    shutil.rmtree(scene.state)
    before = len(scene.records(committed=False))
    said = scene.once(code=2).error_lines[-1]
    expect("snapshot.mode=when_needed" in said, "%s", said)
    expect(len(scene.records(committed=False)) == before, "messages were sent")


def test_when_needed_begins_anew_above_what_kafka_has(box):
    scene = begun(box)
    scene.sql("UPDATE t SET a = 'x' WHERE id = 2")
    scene.once()
    last = [m for m in scene.check() if m.is_event][-1]
    shutil.rmtree(scene.state)
    scene.sql("DELETE FROM t WHERE id = 1")
    result = scene.once("-D", "snapshot.mode=when_needed")
    expect(any("delete" in t for t in result.error_lines), "no warning: %s", result)
    scene.sql("INSERT INTO t VALUES (77, 'after')")
    scene.once("-D", "snapshot.mode=when_needed")
    events = [m for m in scene.messages() if m.is_event]
    fresh = events[events.index(next(e for e in events
                                     if e.change_id > last.change_id)):]
    expect(summary(fresh) == [("r", 2), ("r", 3), ("r", 4), ("r", 5), ("c", 77)], "%s",
           summary(fresh))
    expect(all(e.lsn > last.lsn for e in fresh), "lsn %s after %d",
           [e.lsn for e in fresh], last.lsn)


def test_a_deleted_position_topic_is_refused(box):
    """Our state says that it was written."""
    scene = begun(box)
    with Admin(scene.broker.address) as admin:
        admin.delete_topic(position_topic(scene))
    scene.sql("DELETE FROM t WHERE id = 1")
    said = scene.once(code=2).error_lines[-1]
    expect(position_topic(scene) in said, "%s", said)


def test_another_database_under_the_prefix_is_refused_and_disturbs_nobody(box):
    scene = begun(box)
    run = scene.start()
    scene.sql("INSERT INTO t(a) VALUES ('before')")
    other = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  "INSERT INTO t VALUES (1, 'foreign')", name="other.db")
    other.prefix = scene.prefix
    said = other.once(code=2).error_lines[-1]
    expect(scene.prefix in said, "%s", said)
    scene.sql("INSERT INTO t(a) VALUES ('after')")
    scene.wait_events(7)
    expect(run.process.poll() is None, "the running one ended: %s", run.error_text())
    scene.stop(run)
    scene.check()


def test_a_second_one_with_the_same_identity_fences_the_first(box):
    """The same state directory cannot be used twice; a copy of it can."""
    scene = begun(box)
    run = scene.start()
    scene.sql("INSERT INTO t(a) VALUES ('by the first')")
    scene.wait_events(6)
    copy(scene.state, box.path("twin"))
    scene.state = box.path("twin")
    before = positions(scene)
    second = scene.start()
    box.wait_until(lambda: positions(scene) > before, 20, "the second says nothing")
    scene.sql("INSERT INTO t(a) VALUES ('by one of them')")
    code = run.wait_exit(20)
    expect(code == 1, "exit %s; %s", code, run.error_text())
    expect(any("another rowtail" in t for t in run.errors), "%s", run.error_text())
    scene.wait_events(7)
    scene.stop(second)
    scene.check()


def test_at_least_once_without_a_state_directory(box):
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  args=["-D", "exactly.once.support=disabled"])
    scene.state = "none"
    run = scene.start()
    scene.sql("INSERT INTO t VALUES (1, 'x')", "DELETE FROM t")
    scene.wait_events(2)
    scene.stop(run)
    expect(summary([m for m in scene.messages() if m.is_event]) ==
           [("c", 1), ("d", 1)], "%s", scene.messages())


def test_exactly_once_needs_a_state_directory(box):
    scene = Scene(box)
    scene.state = "none"
    said = scene.once(code=2).error_lines[-1]
    expect("exactly.once.support" in said, "%s", said)


def test_at_least_once_loses_nothing_over_kills(box):
    scene = Scene(box, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)",
                  args=["-D", "exactly.once.support=disabled"])
    for i in range(6):
        run = scene.start()
        scene.sql(*["INSERT INTO t(a) VALUES (%d)" % i] * 50)
        time.sleep(0.02 * i)
        run.kill()
    scene.once()
    numbers = {}
    for record in scene.records("t"):
        event = json.loads(record.value)
        numbers.setdefault(event["source"]["change_id"], event["after"])
    expect(sorted(numbers) == list(range(1, 301)), "%d numbers up to %d", len(numbers),
           max(numbers))
    expect([numbers[i]["id"] for i in range(1, 301)] == list(range(1, 301)), "rows")

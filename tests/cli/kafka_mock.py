"""--to kafka:// on librdkafka's mock broker: what can be shown without a real one.

The mock broker makes topics when they are asked for, but cannot be asked to; and it
shows aborted messages: exactly-once is judged by tests/kafka, with a real broker.
"""

import json
import os
import re
import signal
import subprocess
import time

from harness.box import NotRun, expect
from kafka import librdkafka
from kafka.scene import in_order

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


class MockBroker:
    def __init__(self, box):
        if "/tsan/" in os.path.realpath(box.options.rowtail):
            raise NotRun("the thread sanitizer does not know librdkafka's threads")
        lacking = librdkafka.lacking()
        if lacking:
            raise NotRun(lacking)
        program = os.path.join(box.options.helpers, "mock_broker")
        if not os.access(program, os.X_OK):
            raise NotRun("%s is not built: make helpers" % program)
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip()
        box.opened.append(self)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        expect(self.process.stdout.readline() == "done\n", "%s", command)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Scene:
    def __init__(self, box, *statements, args=()):
        self.box = box
        self.broker = MockBroker(box)
        self.writer, self.path = box.database(*(statements or [TABLE]))
        self.args = list(args)

    def arguments(self, *more):
        return [self.path, "--to", "kafka://" + self.broker.address,
                "-D", "topic.creation.enable=false",
                "-D", "include.schema.changes=false", *self.args, *more]

    def start(self, *more, **how):
        return self.box.tail(*self.arguments(*more), **how)

    def once(self, *more, code=0, timeout=30):
        result = self.box.run(*self.arguments("--once", *more), timeout=timeout)
        expect(result.code == code, "--once: expected exit %d: %s", code, result)
        return result

    def sql(self, *statements):
        self.writer.sql("c", *statements)

    def read(self, topic):
        return librdkafka.read_all(self.broker.address, [topic])

    def events(self, table="t"):
        return [m for m in in_order(self.read("app." + table)) if m.is_event]

    def rows(self):
        return [(m.op, (m.after or m.before)["id"]) for m in self.events()]

    def wait_rows(self, expected, timeout=15):
        self.box.wait_until(lambda: self.rows() == expected, timeout,
                            "%s instead of %s" % (self.rows(), expected))


def test_rows_and_changes_arrive_once(box):
    scene = Scene(box, TABLE, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    run = scene.start()
    scene.sql("UPDATE t SET a = 'c' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    expected = [("r", 1), ("r", 2), ("u", 1), ("d", 2)]
    scene.wait_rows(expected)
    box.stop(run)
    scene.once()
    scene.sql("INSERT INTO t VALUES (3, 'later')")
    scene.once()
    expect(scene.rows() == expected + [("c", 3)], "%s", scene.rows())
    tombstones = [r for r in scene.read("app.t") if r.value is None]
    expect([r.key for r in tombstones] == [b'{"id":2}'], "%s", tombstones)


def test_the_position_is_beside_the_events(box):
    scene = Scene(box, TABLE, "INSERT INTO t VALUES (1, 'a')")
    scene.once()
    last = scene.read("__rowtail-position.app")[-1]
    position = json.loads(last.value)
    expect(json.loads(last.key) == {"prefix": "app"}, "%s", last.key)
    expect(position["database"] == os.path.realpath(scene.path) and
           position["change_id"] == 1 and position["exactly_once"] is True and
           position["snapshot"] is False, "%s", position)


def test_after_kill_9_it_goes_on_where_kafka_is(box):
    """Its own position file is behind: what Kafka has does not come again."""
    scene = Scene(box)
    run = scene.start()
    position = os.path.join(scene.path + "-rowtail", "position")
    with open(position, "rb") as file:
        old = file.read()
    scene.sql("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')")
    scene.wait_rows([("c", 1), ("c", 2)])
    run.kill()
    with open(position, "wb") as file:
        file.write(old)
    scene.once()
    expect(scene.rows() == [("c", 1), ("c", 2)], "%s", scene.rows())


def test_a_prefix_of_another_database_is_refused(box):
    scene = Scene(box)
    scene.once()
    _, path = box.database(TABLE, name="other.db")
    result = box.run(path, "--once", "--to", "kafka://" + scene.broker.address,
                     "-D", "topic.prefix=app", "-D", "topic.creation.enable=false")
    expect(result.code == 2 and scene.path in result.error_lines[-1], "%s", result)


def test_a_lost_state_directory_is_refused_unless_asked_for(box):
    scene = Scene(box, TABLE, "INSERT INTO t VALUES (1, 'a')")
    scene.once()
    first = scene.events()[-1]
    scene.once("--state", box.path("other"), code=2)
    scene.once("--state", box.path("other"), "-D", "snapshot.mode=when_needed")
    second = scene.events()[-1]
    expect(second.op == "r" and second.lsn > first.lsn and
           second.change_id > first.change_id, "%s after %s", second, first)
    scene.once("--state", box.path("other"))        # it is in order again
    expect(len(scene.events()) == 2, "%s", scene.rows())


def test_another_prefix_than_before_says_what_is_true(box):
    """Its topic was never there: nobody has lost it."""
    scene = Scene(box, TABLE, "INSERT INTO t VALUES (1, 'a')")
    scene.once()
    for setting, topic in (("topic.prefix=newp", "__rowtail-position.newp"),
                           ("topic.delimiter=-", "__rowtail-position-app")):
        said = scene.once("-D", setting, code=2).error_lines[-1]
        expect(topic in said and "__rowtail-position.app" in said and "lost" not in said
               and "set them as they were" in said and "--state" in said, "%s", said)
    scene.once()                                    # no harm was done
    scene.once("-D", "topic.prefix=newp", "-D", "snapshot.mode=when_needed")
    rows = [m for m in in_order(scene.read("newp.t")) if m.is_event]
    expect([m.op for m in rows] == ["r"], "%s", rows)
    # Where nobody noted the names, all that is possible is said.
    os.remove(scene.path + "-rowtail/settings")
    said = scene.once("-D", "topic.prefix=third", code=2).error_lines[-1]
    expect("topic.prefix was another one" in said and "or it was lost" in said, "%s", said)


def test_a_directory_from_a_backup_begins_anew_when_asked_for(box):
    """It is emptied while it is in use, and numbers go on above Kafka's."""
    scene = Scene(box, TABLE, "INSERT INTO t VALUES (1, 'a')")
    scene.once()
    state = scene.path + "-rowtail"
    subprocess.check_call(["cp", "-a", state, box.path("backup")])
    scene.sql("INSERT INTO t VALUES (2, 'b')")
    scene.once()
    last = scene.events()[-1]
    scene.sql("DELETE FROM t WHERE id = 1")
    subprocess.check_call(["rm", "-r", state])
    subprocess.check_call(["cp", "-a", box.path("backup"), state])
    said = scene.once(code=2).error_lines[-1]
    expect("when_needed" in said, "%s", said)
    scene.once("-D", "snapshot.mode=when_needed")
    events = scene.events()
    expect([(e.op, e.after["id"]) for e in events] == [("r", 1), ("c", 2), ("r", 2)],
           "%s", scene.rows())
    expect(events[-1].lsn > last.lsn and events[-1].change_id > last.change_id, "%s",
           events[-1])
    scene.sql("INSERT INTO t VALUES (3, 'c')")
    scene.once()
    expect(scene.rows()[-1] == ("c", 3), "%s", scene.rows())


def test_a_broker_that_is_away_is_said_once_and_waited_for(box):
    scene = Scene(box)
    scene.once()
    scene.broker.tell("down")
    run = scene.start()                     # the line comes all the same
    scene.sql("INSERT INTO t VALUES (1, 'a')")
    box.wait_until(lambda: any("out of reach" in t for t in run.errors), 10)
    time.sleep(1)
    scene.broker.tell("up")
    scene.wait_rows([("c", 1)], 30)
    scene.broker.tell("down")
    scene.sql("INSERT INTO t VALUES (2, 'b')")
    time.sleep(4)
    scene.broker.tell("up")
    scene.wait_rows([("c", 1), ("c", 2)], 30)
    box.stop(run)
    said = [t for t in run.errors if "out of reach" in t]
    over = [t for t in run.errors if "is back" in t]
    expect(1 <= len(said) == len(over) <= 2, "%s", run.error_text())


test_a_broker_that_is_away_is_said_once_and_waited_for.timeout = 120


def test_a_stop_without_a_broker_takes_no_5_s(box):
    scene = Scene(box)
    run = scene.start()
    scene.broker.tell("down")
    scene.sql("INSERT INTO t VALUES (1, 'a')")
    time.sleep(0.5)
    began = time.monotonic()
    box.stop(run)
    expect(time.monotonic() - began < 30, "%.1f s", time.monotonic() - began)
    scene.broker.tell("up")
    scene.once()
    expect(scene.rows() == [("c", 1)], "%s", scene.rows())


def test_without_exactly_once_no_state_is_needed(box):
    scene = Scene(box, args=["--state=none", "-D", "exactly.once.support=disabled"])
    run = scene.start()
    scene.sql("INSERT INTO t VALUES (1, 'a')")
    scene.wait_rows([("c", 1)])
    box.stop(run)
    expect(not os.path.exists(scene.path + "-rowtail"), "a state directory was made")


def test_commits_that_fail_are_looked_up(box):
    scene = Scene(box)
    run = scene.start()
    scene.broker.tell("end-errors 1")
    scene.sql("INSERT INTO t VALUES (1, 'a')")
    scene.wait_rows([("c", 1)])
    scene.sql("INSERT INTO t VALUES (2, 'b')")
    scene.wait_rows([("c", 1), ("c", 2)], 30)
    box.stop(run)
    expect(len(scene.read("app.t")) == 2, "%s", scene.read("app.t"))


def test_settings_of_librdkafka_are_checked_at_once(box):
    scene = Scene(box)
    result = scene.once("-D", "producer.lingerms=5", code=2)
    expect("producer.lingerms" in result.error_lines[-1], "%s", result)
    result = scene.once("-D", "producer.linger.ms=soon", code=2)
    expect("linger.ms" in result.error_lines[-1], "%s", result)
    result = scene.once("-D", "producer.partitioner=mine", code=2)
    expect("partitioner" in result.error_lines[-1], "%s", result)
    expect(not os.path.exists(scene.path + "-rowtail"), "a state directory was made")


def test_secrets_come_from_elsewhere_and_are_told_nobody(box):
    scene = Scene(box)
    secret = "pa55-w0rd"
    with open(box.path("secrets.properties"), "w") as file:
        file.write("password=%s\n" % secret)
    result = box.run(*scene.arguments(
        "--once", "--verbose", "-D", "producer.debug=conf",
        "-D", "producer.sasl.password=${file:%s:password}"
        % box.path("secrets.properties"),
        "-D", "producer.ssl.key.password=${env:ROWTAIL_TEST_SECRET}"),
        env=dict(os.environ, ROWTAIL_TEST_SECRET=secret), timeout=30)
    expect(result.code == 0, "%s", result)
    expect(re.search("sasl.password", str(result)), "the settings are not shown")
    expect(secret not in str(result), "%s", result)
    result = scene.once("-D", "producer.sasl.password=${env:ROWTAIL_NOT_SET}", code=2)
    expect("ROWTAIL_NOT_SET" in result.error_lines[-1], "%s", result)


def test_sighup_ends_it_as_it_has_no_file(box):
    scene = Scene(box)
    run = scene.start()
    run.process.send_signal(signal.SIGHUP)
    expect(run.wait_exit(30) == -signal.SIGHUP, "%s", run.process.returncode)

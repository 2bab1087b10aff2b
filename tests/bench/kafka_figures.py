# SPDX-License-Identifier: Apache-2.0
"""The measurements with a real Kafka broker on the same machine.

Broker, consumer, writer and rowtail share its cores. A bare producer that sends the same
messages to the same broker, with the same consumer reading, is what rowtail is compared
with: so the ratio is what rowtail itself costs.
"""

import contextlib
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

from processes import BenchError, Follower

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from kafka import librdkafka  # noqa: E402
from kafka.env import jars  # noqa: E402
from kafka.env.broker import Broker  # noqa: E402

CONSUMER_START_S = 1.5
DRAIN_LIMIT_S = 300
EXACTLY_ONCE = []
AT_LEAST_ONCE = ["-D", "exactly.once.support=disabled"]
MODES = {"exactly-once": EXACTLY_ONCE, "at-least-once": AT_LEAST_ONCE}


class NotRun(BenchError):
    """There is no Java, or no jars: the text says what to do."""


class KafkaFigures:
    """Made with the other figures (`base`); starts its broker when first asked."""

    def __init__(self, base):
        self.base = base
        self.tools = base.tools
        self.broker = None
        self.number = 0

    def start(self):
        if self.broker:
            return
        why = jars.lacking() or librdkafka.lacking()
        if why:
            raise NotRun(why)
        folder = self.base.folder / "kafka"
        shutil.rmtree(folder, ignore_errors=True)
        broker = Broker(folder, tuned=True)
        try:
            broker.start()
        except jars.EnvError as problem:
            raise BenchError(str(problem)) from problem
        self.broker = broker
        # The broker's JVM compiles what it runs often; the first minute is not its speed.
        for mode in MODES:
            self.latency(mode)

    def close(self):
        if self.broker:
            self.broker.kill()

    def settings(self):
        """Printed with the table."""
        yield ("Kafka: one broker of its defaults on the same cores, one partition;"
               " consumer: librdkafka's defaults, read_committed")

    # -- parts of a run ------------------------------------------------------------

    def _fresh(self):
        """(database, topic prefix, state directory) of a run."""
        self.start()
        self.number += 1
        name = f"kafka-{self.number}"
        path = self.base.fresh(name)
        state = self.base.folder / (name + "-state")
        shutil.rmtree(state, ignore_errors=True)
        return path, name, state

    def _follow(self, path, prefix, state, mode):
        follower = Follower(self.base.rowtail, path, arguments=[
            "--to", "kafka://" + self.broker.address, "--state", str(state),
            "-D", "topic.prefix=" + prefix, "-D", "snapshot.mode=no_data",
            *MODES[mode]])
        return follower.wait_until_following()

    def _topic(self, name):
        with librdkafka.Admin(self.broker.address) as admin:
            admin.create_topic(name, 1)
        return name

    def _remove(self, path, state, *topics):
        self.base.remove(path)
        shutil.rmtree(state, ignore_errors=True)
        with librdkafka.Admin(self.broker.address) as admin:
            for topic in topics:
                admin.delete_topic(topic)

    def _consumer(self, topic, count, *more):
        reader = self.tools.start("kafka_read", self.broker.address, topic, count, *more)
        time.sleep(CONSUMER_START_S)
        return reader

    def _result(self, reader, what):
        try:
            result = self.tools.result(reader)
        except subprocess.TimeoutExpired as late:
            raise BenchError(f"{what} took too long") from late
        if reader.returncode != 0:
            raise BenchError(f"{what} failed, exit {reader.returncode}")
        return result

    # -- figures -------------------------------------------------------------------

    def drain(self, mode):
        """A backlog from the WAL to a consumer; then the same bytes from a producer
        that does nothing else, in transactions of the same size."""
        path, prefix, state = self._fresh()
        rows = self.base.plan.rows
        topic = self._topic(prefix + ".t")
        with self._follow(path, prefix, state, mode) as follower:
            follower.process.send_signal(signal.SIGSTOP)
            self.base.write(path, "--per-txn", 1000, "--txns", rows // 1000)
            reader = self._consumer(topic, rows)
            before = follower.usage.cpu_s()
            continued_s = time.monotonic()
            follower.process.send_signal(signal.SIGCONT)
            ours = self._result(reader, "the consumer behind rowtail")
            used = follower.usage.cpu_s() - before
        rate = rows / (ours["last_ns"] / 1e9 - continued_s)
        per_txn = max(1, rows // ours["transactions"]) if MODES[mode] is EXACTLY_ONCE \
            else 0
        bare = self._bare(topic, rows, per_txn)
        self._remove(path, state, topic)
        return {
            "ratio": rate / bare,
            "events_s": rate,
            "bare_s": bare,
            "per_txn": per_txn,
            "cpu_us": used / rows * 1e6,
            "bytes_each": ours["bytes"] / rows,
        }

    def _bare(self, topic, rows, per_txn):
        """Messages a second of a bare producer, to its consumer."""
        dump = self.base.folder / "kafka.dump"
        self._result(self.tools.start(
            "kafka_read", self.broker.address, topic, rows, "--dump", dump), "the dump")
        again = self._topic(topic + ".bare")
        reader = self._consumer(again, rows)
        wrote = self._result(self.tools.start(
            "kafka_write", self.broker.address, again, dump, per_txn), "the producer")
        theirs = self._result(reader, "the consumer behind the producer")
        dump.unlink()
        with librdkafka.Admin(self.broker.address) as admin:
            admin.delete_topic(again)
        return rows / ((theirs["last_ns"] - wrote["start_ns"]) / 1e9)

    def latency(self, mode):
        """From a commit to a read_committed consumer, 200 commits a second."""
        path, prefix, state = self._fresh()
        count = int(200 * self.base.plan.latency_s)
        topic = self._topic(prefix + ".latency")
        with self._follow(path, prefix, state, mode):
            reader = self._consumer(topic, 2 * count, "--lines")
            self._warm_up(path)
            writer = self.tools.start("latency", path, "--rate", 200, "--count", count,
                                      stdin=reader.stdout)
            reader.stdout.close()
            result = self.tools.result(writer)
            reader.kill()
            reader.wait()
        self._remove(path, state, topic)
        if writer.returncode != 0:
            raise BenchError(f"{result['lines']} of {result['commits']} events came")
        return result

    @staticmethod
    def _warm_up(path):
        """Some rows whose numbers the tool does not look at: each part of the way has
        then been gone once."""
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            for number in range(10):
                db.execute("INSERT INTO latency VALUES (?, 0)", (10**9 + number,))
                time.sleep(0.1)

    def outage(self):
        """The broker is killed, a million events gather, it comes back."""
        path, prefix, state = self._fresh()
        rows = self.base.plan.rows
        topic = self._topic(prefix + ".t")
        with self._follow(path, prefix, state, "exactly-once") as follower:
            self.base.write(path, "--txns", 10)
            time.sleep(1)
            self.broker.kill()
            writer = self.tools.start("writer", path, "--per-txn", 1000, "--txns",
                                      rows // 1000)
            while writer.poll() is None:
                follower.look_at_memory()
                time.sleep(0.05)
            wrote = self.tools.result(writer)
            for _ in range(40):
                follower.look_at_memory()
                time.sleep(0.05)
            self.broker.start()
            reader = self.tools.start("kafka_read", self.broker.address, topic,
                                      rows + 10)
            while reader.poll() is None:
                follower.look_at_memory()
                time.sleep(0.05)
            self._result(reader, "the consumer after the outage")
        pages = path.stat().st_size // 4096
        self._remove(path, state, topic)
        return {"memory": follower.memory_peak, "pages": pages,
                "wal_peak": wrote["wal_peak"]}

# SPDX-License-Identifier: Apache-2.0
"""Debezium's PostgreSQL connector, for scale: another database and another writer, but the
same rows. In its embedded engine, without Kafka, its events lines on stdout.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time

from processes import BenchError, Usage
from peers.ways import NotRun, environment

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parents[1]))

from kafka.env import postgres  # noqa: E402
from kafka.env.jars import EnvError  # noqa: E402

JARS = HERE.parents[2] / "build/peers/jars"
TABLES = ("CREATE TABLE t(id BIGINT PRIMARY KEY, name TEXT NOT NULL, qty INT,"
          " price DOUBLE PRECISION, note TEXT);"
          "CREATE TABLE latency(id BIGINT PRIMARY KEY, stamp BIGINT)")
START_LIMIT_S = 90
SEEN_LIMIT_S = 120
WARM_ROWS = 300_000  # until its JVM has compiled what it runs often
RATE = 200


class Lines:
    """Reads a pipe: counts lines, and notes when those of `latency` came."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.count = 0
        self.latencies_ms = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        for line in self.pipe:
            if b'"stamp":' in line:
                now = time.monotonic_ns()
                stamp = json.loads(line)["after"]["stamp"]
                self.latencies_ms.append((now - stamp) / 1e6)
            self.count += 1

    def wait(self, count):
        deadline = time.monotonic() + SEEN_LIMIT_S
        while self.count < count:
            if time.monotonic() > deadline:
                raise BenchError(f"Debezium: {self.count} of {count} events came")
            time.sleep(0.01)


class Debezium:
    def __init__(self):
        if not shutil.which("java") or not JARS.is_dir():
            raise NotRun("no Java, or not its jars (make deps-peers)")
        if postgres.lacking():
            raise NotRun("no PostgreSQL (make deps-peers)")

    def run(self, rows, latency_s, poll_ms):
        """CPU of an event in microseconds, and the time to it, p50 and p99."""
        try:
            database = postgres.Postgres("peers", settings=["wal_level=logical"])
            try:
                database.start()
                database.query(TABLES)
                return self._follow(database, rows, int(RATE * latency_s), poll_ms)
            finally:
                database.close()
        except EnvError as problem:
            raise BenchError(str(problem)) from problem

    def _follow(self, database, rows, count, poll_ms):
        java = subprocess.Popen(
            ["java", "-Xmx512m", "-cp", f"{JARS}/*", str(HERE / "Debezium.java"),
             str(database.port), database.database, str(poll_ms)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
        try:
            self._wait_until_following(java, database)
            lines = Lines(java.stdout)
            self._insert(database, 0, WARM_ROWS)
            lines.wait(WARM_ROWS)
            usage = Usage(java.pid)
            cpu = usage.cpu_s()
            self._insert(database, WARM_ROWS, rows)
            lines.wait(WARM_ROWS + rows)
            cpu = usage.cpu_s() - cpu
            self._insert_stamps(database, count)
            lines.wait(WARM_ROWS + rows + count)
        finally:
            java.kill()
            java.wait()
        times = sorted(lines.latencies_ms)
        return {"cpu_us": cpu / rows * 1e6, "p50_ms": times[count // 2],
                "p99_ms": times[count * 99 // 100]}

    @staticmethod
    def _wait_until_following(java, database):
        deadline = time.monotonic() + START_LIMIT_S
        while "t" not in database.query("SELECT active FROM pg_replication_slots"):
            if java.poll() is not None or time.monotonic() > deadline:
                raise BenchError("Debezium does not follow")
            time.sleep(0.2)

    @staticmethod
    def _insert(database, first, rows):
        """The rows of tests/bench/writer.c, 1000 a transaction."""
        database.query(
            "DO $$ BEGIN FOR i IN %d..%d LOOP INSERT INTO t SELECT n, 'item-' ||"
            " lpad(n::text, 10, '0'), n %% 1000, (n %% 9999) / 100.0, 'in stock since '"
            " || substr(md5(n::text), 1, 16) || ', third shelf on the left, no remark'"
            " FROM generate_series(i * 1000 + 1, i * 1000 + 1000) AS n; COMMIT; END LOOP;"
            " END $$" % (first // 1000, (first + rows) // 1000 - 1))

    @staticmethod
    def _insert_stamps(database, count):
        psql = subprocess.Popen(
            ["psql", "-qX", "host=127.0.0.1 port=%d user=postgres dbname=%s" % (
                database.port, database.database)], stdin=subprocess.PIPE)
        begun_s = time.monotonic()
        for number in range(1, count + 1):
            time.sleep(max(0.0, begun_s + number / RATE - time.monotonic()))
            psql.stdin.write(b"INSERT INTO latency VALUES (%d, %d);\n" % (
                number, time.monotonic_ns()))
            psql.stdin.flush()
        psql.stdin.close()
        if psql.wait() != 0:
            raise BenchError("psql ended")

# SPDX-License-Identifier: Apache-2.0
"""The measurements. Each method makes one run and returns a dict of numbers.

Every run has a database of its own, made beforehand; what is compared is measured one
after the other in the same run, so that a machine that slows down slows both.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import time

from processes import LAG_LIMIT_S, BenchError, Follower, Tools

WRITER_CORE = 0
ROWTAIL_CORE = 1
EVENT_MIN_BYTES = 200  # no event is shorter: fewer bytes are not all events
TABLE_ROWS = 100_000  # about 10 MB
ROW_BYTES = 108  # of the file, for each row of the table
BIG_ROWS = 64  # with overflow pages
DDL_TABLES = 3_000
DDL_TIMES = 100  # each statement

# What a writer does: options of tests/bench/writer.c.
WRITERS = {
    "bulk": ["--per-txn", 1000],
    "one-row": [],
    "one-row-full": ["--sync", "FULL"],
    "paced-1ms": ["--think-us", 1000],
    "paced-50us": ["--think-us", 50],
    "paced-2ms": ["--think-us", 2000],
}
# The same for the CPU figures, with the number of transactions of a full run.
CPU_WRITERS = {
    "bulk": (["--per-txn", 1000], 1_000),
    "update": (["--mode", "update", "--per-txn", 100], 5_000),
    "one-row": ([], 200_000),
}


class Figures:
    def __init__(self, rowtail, tools, folder, plan):
        self.rowtail = rowtail
        self.tools = Tools(tools)
        self.folder = pathlib.Path(folder)
        self.plan = plan
        self.template = self.folder / "template.db"
        self.large = self.folder / f"large-{plan.large_mb}.db"

    # -- databases -----------------------------------------------------------------

    def prepare(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.template.exists():
            self.make(self.template, TABLE_ROWS)

    def prepare_large(self):
        """Made once, and read so that it is in the page cache."""
        if not self.large.exists():
            self.make(self.large, self.plan.large_mb * 1_048_576 // ROW_BYTES)
        with open(self.large, "rb") as file:
            while file.read(1 << 24):
                pass

    def make(self, path, rows):
        unfinished = path.with_suffix(".unfinished")
        for leftover in self.folder.glob(unfinished.name + "*"):
            leftover.unlink()
        self.tools.fill(unfinished, rows, BIG_ROWS)
        unfinished.rename(path)

    def fresh(self, name="run"):
        path = self.folder / f"{name}.db"
        for leftover in self.folder.glob(path.name + "*"):
            leftover.unlink()
        shutil.copyfile(self.template, path)
        return path

    def remove(self, path):
        for leftover in self.folder.glob(path.name + "*"):
            leftover.unlink()

    def follow(self, path, **options):
        options.setdefault("core", ROWTAIL_CORE)
        follower = Follower(self.rowtail, path, **options)
        return follower.wait_until_following()

    def write(self, path, *arguments):
        return self.tools.run("writer", path, *arguments, core=WRITER_CORE)

    # -- figures -------------------------------------------------------------------

    def drain(self, arguments=()):
        """A million rows wait in the WAL; how fast do they come out?"""
        path = self.fresh()
        rows = self.plan.rows
        with self.follow(path, arguments=arguments) as follower:
            follower.process.send_signal(signal.SIGSTOP)
            wrote = self.write(path, "--per-txn", 1000, "--txns", rows // 1000)
            continued_s = time.monotonic()
            follower.process.send_signal(signal.SIGCONT)
            end_s = follower.wait_until_quiet(rows * EVENT_MIN_BYTES)
        self.remove(path)
        rate = wrote["rows"] / (end_s - continued_s)
        return {
            "ratio": rate / wrote["rows_s"],
            "events_s": rate,
            "writer_rows_s": wrote["rows_s"],
            "wal_peak": wrote["wal_peak"],
        }

    def cpu(self, kind, to_pipe=False):
        """CPU of rowtail for each event against CPU of the writer for each row.

        rowtail does checkpoints that the writer then has not to do, so `together` is
        what following costs: CPU of both against CPU of the writer alone.
        """
        arguments, txns = CPU_WRITERS[kind]
        txns = max(1, txns * self.plan.rows // 1_000_000)
        path = self.fresh()
        with self.follow(path, to_pipe=to_pipe) as follower:
            reader = self._count_lines(follower) if to_pipe else None
            before = follower.usage.cpu_s()
            writer = self.tools.start(
                "writer", path, *arguments, "--txns", txns, core=WRITER_CORE
            )
            wrote = self.tools.result(writer)
            lag_s = self._lag_s(follower, wrote)
            used = follower.usage.cpu_s() - before
            follower.stop()
            if reader:
                reader.communicate()
        self.remove(path)
        alone = self.write(self.fresh(), *arguments, "--txns", txns)
        self.remove(path)
        return {
            "ratio": used / wrote["cpu_s"],
            "together": (used + wrote["cpu_s"]) / alone["cpu_s"],
            "alone_us": alone["cpu_s"] / alone["rows"] * 1e6,
            "rowtail_us": used / wrote["rows"] * 1e6,
            "writer_us": wrote["cpu_s"] / wrote["rows"] * 1e6,
            "lag_s": lag_s,
            "wal_peak": wrote["wal_peak"],
        }

    def ddl(self):
        """CPU of rowtail for a statement that changes the schema, in a database of few
        tables and of many; a row's transaction, which tells that it was seen, is
        measured alone and taken off."""
        few, many = self._ddl_ms(10), self._ddl_ms(DDL_TABLES)
        return {"few_ms": few, "many_ms": many, "ratio": many / few}

    def _ddl_ms(self, tables):
        path = self.folder / "ddl.db"
        self.remove(path)
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("BEGIN")
        db.execute("CREATE TABLE seen(id INTEGER PRIMARY KEY)")
        for i in range(tables):
            db.execute(f"CREATE TABLE t{i}(id INTEGER PRIMARY KEY, a TEXT, b DEFAULT 5)")
            db.execute(f"CREATE INDEX i{i} ON t{i}(a)")
        db.execute("COMMIT")
        with self.follow(path, to_pipe=True) as follower:
            used = [self._run_ddl(db, follower, statement) for statement in (
                None, "CREATE TABLE n{0}(x)", "CREATE INDEX j{0} ON n{0}(x)",
                "ALTER TABLE n{0} ADD COLUMN y DEFAULT 1", "DROP TABLE n{0}")]
            db.close()
            follower.stop()
        self.remove(path)
        return (sum(used[1:]) / (len(used) - 1) - used[0]) * 1e3

    @staticmethod
    def _run_ddl(db, follower, statement):
        """Seconds of CPU for each time."""
        before = follower.usage.cpu_s()
        for i in range(DDL_TIMES):
            if statement:
                db.execute(statement.format(i))
            db.execute("INSERT INTO seen VALUES (NULL)")
            follower.process.stdout.readline()
        return (follower.usage.cpu_s() - before) / DDL_TIMES

    def _count_lines(self, follower):
        reader = self.tools.start("count_lines", stdin=follower.process.stdout)
        follower.process.stdout.close()
        follower.process.stdout = None
        return reader

    @staticmethod
    def _lag_s(follower, wrote):
        """From the writer's last commit to the last byte written.

        rowtail has written most of it by now, so there is no least number of bytes.
        """
        written = follower.usage.written_bytes()
        end_s = follower.wait_until_quiet(0)
        if follower.usage.written_bytes() < wrote["rows"] * EVENT_MIN_BYTES / 2:
            raise BenchError("rowtail wrote too little for all events")
        if follower.usage.written_bytes() == written:
            return 0.0
        return max(0.0, end_s - wrote["end_ns"] / 1e9)

    def latency(self, arguments=()):
        path = self.fresh()
        with self.follow(path, core=None, to_pipe=True,
                         arguments=arguments) as follower:
            reader = self.tools.start(
                "latency",
                path,
                "--rate",
                200,
                "--count",
                int(200 * self.plan.latency_s),
                stdin=follower.process.stdout,
            )
            result = self.tools.result(reader)
        self.remove(path)
        if reader.returncode != 0:
            raise BenchError(f"{result['lines']} of {result['commits']} lines came")
        return result

    def live(self, kind, alone_first, arguments=()):
        """A writer alone and followed, each on a core of its own."""
        writer = WRITERS[kind] + ["--seconds", self.plan.live_s]
        runs = {}
        for followed in [False, True] if alone_first else [True, False]:
            runs[followed] = self._live_run(writer, followed, arguments)
        alone, with_us = runs[False], runs[True]
        return {
            "speed": with_us["commits_s"] / alone["commits_s"],
            "tail": with_us["p999_us"] / alone["p999_us"],
            "wal": with_us["wal_peak"] / max(1, alone["wal_peak"]),
            "wal_peak": with_us["wal_peak"],
            "wal_alone": alone["wal_peak"],
            "lag_s": with_us["lag_s"],
            "busy_million": with_us["busy"] / with_us["commits"] * 1e6,
            "busy": with_us["busy"],
            "commits_s": with_us["commits_s"],
            "alone_s": alone["commits_s"],
            "p99_us": with_us["p99_us"],
            "p999_us": with_us["p999_us"],
            "alone_p999_us": alone["p999_us"],
        }

    def _live_run(self, writer, followed, arguments):
        path = self.fresh()
        if not followed:
            wrote = self.write(path, *writer)
        else:
            with self.follow(path, arguments=arguments) as follower:
                wrote = self.write(path, *writer)
                wrote["lag_s"] = self._lag_s(follower, wrote)
        self.remove(path)
        return wrote

    def slow_disk(self, sync_ms, alone_first, arguments=()):
        """A writer of one row a commit, 2 ms apart, where each sync takes so long."""
        with preloaded("slow_sync", self.tools, SLOW_SYNC_US=sync_ms * 1000):
            run = self.live("paced-2ms", alone_first, arguments=arguments)
        run["p99_in_syncs"] = run["p99_us"] / (sync_ms * 1000)
        return run

    def size(self):
        """CPU of a one-row update in a large table against a small one; memory."""
        small = self._size_run(self.fresh())
        large = self._size_run(self.large)
        pages = self.large.stat().st_size // 4096
        return {
            "ratio": large["us"] / small["us"],
            "small_us": small["us"],
            "large_us": large["us"],
            "small_writer_us": small["writer_us"],
            "large_writer_us": large["writer_us"],
            "memory": large["memory"],
            "pages": pages,
            "lag_s": max(small["lag_s"], large["lag_s"]),
        }

    def _size_run(self, path):
        update = ["--mode", "update"]
        with self.follow(path) as follower:
            # The first event pays for what is built once.
            said = follower.usage.written_bytes()
            self.write(path, "--mode", "blob", "--txns", 1)
            self.write(path, *update, "--txns", 200)
            follower.wait_until_quiet(200 * EVENT_MIN_BYTES, since=said)
            before = follower.usage.cpu_s()
            writer = self.tools.start(
                "writer", path, *update, "--txns", self.plan.updates, core=WRITER_CORE
            )
            while writer.poll() is None:
                follower.look_at_memory()
                time.sleep(0.05)
            wrote = self.tools.result(writer)
            lag_s = self._lag_s(follower, wrote)
            used = follower.usage.cpu_s() - before
            follower.look_at_memory()
        return {
            "us": used / wrote["rows"] * 1e6,
            "writer_us": wrote["cpu_s"] / wrote["rows"] * 1e6,
            "memory": follower.memory_peak,
            "lag_s": lag_s,
        }

    def start(self):
        """Start on the large database, and the first update, on an overflow page."""
        with Follower(self.rowtail, self.large, to_pipe=True) as follower:
            follower.wait_until_following()
            reader = self.tools.start(
                "count_lines", "--lines", 1, stdin=follower.process.stdout
            )
            self.write(self.large, "--mode", "blob", "--txns", 1)
            try:
                reader.wait(60)
            except subprocess.TimeoutExpired as late:
                reader.kill()
                raise BenchError("no event of the first update in 60 s") from late
            first = self.tools.result(reader)
            follower.look_at_memory()
        return {
            "following_s": follower.following_s - follower.started_s,
            "overflow_s": first["last_ns"] / 1e9 - follower.started_s,
            "memory": follower.memory_peak,
        }

    def snapshot(self):
        """All rows of a table, against SQLite's shell, into the same kind of pipe."""
        path = self.folder / "snapshot.db"
        if not path.exists():
            self.make(path, self.plan.rows)
        shell = self.pipe_run(
            ["sqlite3", "-json", str(path), "SELECT * FROM t"], self.plan.rows
        )
        ours = self.pipe_run(
            [
                str(self.rowtail),
                str(path),
                "--snapshot",
                "--once",
                "-D",
                "table.include.list=t",
            ],
            self.plan.rows,
        )
        return {
            "ratio": shell["seconds"] / ours["seconds"],
            "rows_s": self.plan.rows / ours["seconds"],
            "shell_rows_s": self.plan.rows / shell["seconds"],
        }

    def pipe_run(self, command, rows):
        started_s = time.monotonic()
        program = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        reader = self.tools.start("count_lines", stdin=program.stdout)
        program.stdout.close()
        counted = self.tools.result(reader)
        errors = program.stderr.read().decode("utf-8", "replace")
        program.stderr.close()
        if program.wait() != 0 or counted["lines"] != rows:
            raise BenchError(
                f"{command[0]}: {counted['lines']} of {rows} rows: {errors.strip()}"
            )
        return {"seconds": counted["last_ns"] / 1e9 - started_s}


@contextlib.contextmanager
def preloaded(name, tools, **settings):
    """Programs that are started meanwhile have this library of tests/preload."""
    library = tools.folder.parent / "preload" / f"{name}.so"
    before = dict(os.environ)
    os.environ.update(LD_PRELOAD=str(library.resolve()),
                      **{key: str(value) for key, value in settings.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def is_counted(run):
    """A live run that fell behind does not count."""
    return run.get("lag_s", 0) <= LAG_LIMIT_S

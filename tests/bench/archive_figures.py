# SPDX-License-Identifier: Apache-2.0
"""The measurements of archives: what is read from one of the large database, and what
writing one costs."""

import json
import os
import pathlib
import random
import re
import shutil
import sqlite3
import struct
import subprocess
import time

from bucket import Bucket
from figures import WRITERS
from kafka_figures import NotRun
from processes import BenchError, Usage

INCREMENTS = 500
ROWS = 3  # changed by each
FRAME_BYTES = 4096 + 24
LITESTREAM = pathlib.Path(os.environ.get(
    "LITESTREAM", "build/litestream/litestream")).resolve()
QUERIES = 15


class ArchiveFigures:
    """Made with the other figures (`base`)."""

    def __init__(self, base):
        self.base = base
        self.folder = base.folder / "archive"
        self.rows = 0

    def sql(self):
        """One row by its key, and what the program reads for it."""
        if not self.rows:
            self._make()
        runs = sorted(self._query(random.randrange(1, self.rows)) for _ in range(QUERIES))
        return {"s": runs[QUERIES // 2][0], "bytes": max(run[1] for run in runs)}

    def restore(self):
        """The newest state, against Litestream's restore of the same archive."""
        if not LITESTREAM.exists():
            raise NotRun("no Litestream (make litestream)")
        if not self.rows:
            self._make()
        ours = self._timed(self.base.rowtail, "restore", self.folder, self._out())
        theirs = self._timed(LITESTREAM, "restore", "-o", self._out(),
                             f"file://{self.folder}")
        self._out()
        return {"ratio": theirs["s"] / ours["s"], "s": ours["s"],
                "litestream_s": theirs["s"], **self._memory(ours)}

    def diff(self):
        """Two moments that 1,000 changed rows lie between."""
        if not self.rows:
            self._make()
        first = INCREMENTS + 1 - 1000 // ROWS
        return self._of_large(self._timed(
            self.base.rowtail, "diff", self.folder, f"txid:{first:x}", "latest"))

    def events(self):
        """All increments of the large archive, on a machine that has no state."""
        if not self.rows:
            self._make()
        return self._of_large(self._timed(self.base.rowtail, "events", self.folder))

    def rate(self):
        """Events out of an archive, against those of a backlog with a state directory."""
        live = self.base.drain(arguments=self._arguments(False))
        path, rows = self.base.fresh(), self.base.plan.rows
        with self.base.follow(path, arguments=self._arguments(True)) as follower:
            self.base.write(path, "--per-txn", 1000, "--txns", rows // 1000)
            follower.wait_until_quiet(0)
            follower.stop()
        run = self._timed(self.base.rowtail, "events", self._live_folder())
        self._forget_live(path)
        return {"ratio": rows / run["s"] / live["events_s"],
                "events_s": rows / run["s"], "live_s": live["events_s"]}

    def bucket(self):
        """Requests of one commit a second, for an hour of them."""
        seconds = self.base.plan.latency_s * 6
        with Bucket(self.base.folder) as bucket:
            path = self.base.fresh()
            arguments = self._arguments(False) + [
                "--archive", bucket.url("live"), "-D",
                "archive.s3.endpoint=" + bucket.server.endpoint]
            with bucket.credentials(), self.base.follow(
                    path, arguments=arguments) as follower:
                time.sleep(5)
                before = bucket.counts()
                wrote = self.base.write(path, "--think-us", 1_000_000, "--seconds",
                                        seconds)
                time.sleep(4)
                after = bucket.counts()
                follower.stop()
            self._forget_live(path)
        return {name: (after[name] - before[name]) / wrote["commits"] * 3600
                for name in ("put", "list")}

    def far(self):
        """Restore out of a bucket on this machine, against Litestream's."""
        if not LITESTREAM.exists():
            raise NotRun("no Litestream (make litestream)")
        if not self.rows:
            self._make()
        with Bucket(self.base.folder) as bucket, bucket.credentials():
            bucket.fill("large", self.folder)
            ours = self._timed(
                self.base.rowtail, "restore", bucket.url("large"), self._out(), "-D",
                "archive.s3.endpoint=" + bucket.server.endpoint)
            theirs = self._timed(
                LITESTREAM, "restore", "-o", self._out(),
                f"{bucket.url('large')}?endpoint={bucket.server.endpoint}"
                f"&region={bucket.region}&forcePathStyle=true")
            self._out()
        return {"ratio": theirs["s"] / ours["s"], "s": ours["s"],
                "litestream_s": theirs["s"]}

    def files(self):
        """1 % of the pages changed between two files, against reading both."""
        other = self.folder.parent / "changed.db"
        shutil.copyfile(self.base.large, other)
        pages = other.stat().st_size // 4096
        self.base.tools.run("writer", other, "--mode", "update", "--per-txn", 100,
                            "--txns", max(1, pages // 100 // 100))
        subprocess.run(["sqlite3", str(other), "PRAGMA wal_checkpoint(TRUNCATE)"],
                       stdout=subprocess.DEVNULL, check=True)
        cat = [self._timed("cat", self.base.large, other)["s"] for _ in range(2)][-1]
        run = self._timed(self.base.rowtail, "diff", self.base.large, other)
        if not shutil.which("sqldiff"):
            raise NotRun("no sqldiff (sqlite3-tools)")
        sqldiff = self._timed("sqldiff", self.base.large, other)["s"]
        for leftover in other.parent.glob(other.name + "*"):
            leftover.unlink()
        return self._of_large({**run, "ratio": cat / run["s"], "cat_s": cat,
                               "sqldiff": sqldiff / run["s"]})

    def live(self, kind, alone_first):
        """A writer that is followed with a state directory, with an archive and without."""
        writer = WRITERS[kind] + ["--seconds", self.base.plan.live_s]
        runs = {}
        for archived in [False, True] if alone_first else [True, False]:
            runs[archived] = self._live(writer, archived)
        return {"speed": runs[True]["commits_s"] / runs[False]["commits_s"],
                "lag_s": max(run["lag_s"] for run in runs.values()),
                "wal_peak": runs[True]["wal_peak"]}

    def volume(self, kind):
        """Bytes of the files of level 0, for each byte of WAL."""
        txns = max(10, self.base.plan.rows // 10)
        writer = {"one-row": ["--txns", txns],
                  "update": ["--mode", "update", "--txns", txns]}[kind]
        path = self.base.fresh()
        arguments = self._arguments(True)
        with self.base.follow(path, arguments=arguments) as follower:
            before = self._lsn()
            self.base.write(path, *writer)
            follower.wait_until_quiet(0)
            time.sleep(2)
            wal = (self._lsn() - before) * FRAME_BYTES
            follower.stop()
        size = sum(f.stat().st_size for f in (self._live_folder() / "ltx/0").iterdir())
        self._forget_live(path)
        return {"ratio": size / wal, "wal_mb": wal / 1e6}

    def cpu(self):
        """CPU beyond that of a state directory alone, for each page of an archived file."""
        used = {}
        for archived in (False, True):
            path = self.base.fresh()
            arguments = self._arguments(archived) + ["--verbose"]
            with self.base.follow(path, arguments=arguments) as follower:
                before = follower.usage.cpu_s()
                self.base.write(path, "--mode", "update", "--per-txn", 100, "--txns",
                                max(100, self.base.plan.rows // 500))
                follower.wait_until_quiet(0)
                time.sleep(2)
                used[archived] = follower.usage.cpu_s() - before
                said = "".join(follower.stderr)
            self._forget_live(path)
        pages = sum(int(n) for n in re.findall(r"archive: level 0, ([0-9]+) pages", said))
        if not pages:
            raise BenchError("nothing was archived")
        return {"us": (used[True] - used[False]) / pages * 1e6, "pages": pages}

    # -- runs -------------------------------------------------------------------------

    def _live_folder(self):
        return self.folder.parent / "live-archive"

    def _arguments(self, archived):
        shutil.rmtree(self._live_folder(), ignore_errors=True)
        shutil.rmtree(self._state(), ignore_errors=True)
        arguments = ["--state", str(self._state()), "-D", "snapshot.mode=no_data"]
        return arguments + (["--archive", str(self._live_folder())] if archived else [])

    def _state(self):
        return self.folder.parent / "live-state"

    def _lsn(self):
        out = subprocess.run(
            [str(self.base.rowtail), "status", "--json", "--state", str(self._state())],
            stdout=subprocess.PIPE, check=True).stdout
        return json.loads(out)["journalled_lsn"]

    def _forget_live(self, path):
        self.base.remove(path)
        shutil.rmtree(self._live_folder(), ignore_errors=True)
        shutil.rmtree(self._state(), ignore_errors=True)

    def _live(self, writer, archived):
        path = self.base.fresh()
        with self.base.follow(path, arguments=self._arguments(archived)) as follower:
            wrote = self.base.write(path, *writer)
            began_s = time.monotonic()
            end_s = follower.wait_until_quiet(0)
            wrote["lag_s"] = max(0.0, end_s - began_s)
        self._forget_live(path)
        return wrote

    def _out(self):
        """Where a state is restored to; nothing is there."""
        out = self.folder.parent / "restored.db"
        for leftover in out.parent.glob(out.name + "*"):
            leftover.unlink()
        return out

    @staticmethod
    def _timed(*command):
        """Seconds, and the most memory that the program had."""
        began = time.monotonic()
        process = subprocess.Popen([str(word) for word in command],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        usage, memory = Usage(process.pid), 0
        while process.poll() is None:
            try:
                memory = max(memory, usage.memory_bytes())
            except OSError:
                pass
            time.sleep(0.002)
        took_s = time.monotonic() - began
        said = process.stderr.read().decode("utf-8", "replace")
        process.stderr.close()
        if process.returncode != 0:
            raise BenchError(f"{command[0]} {command[1]}: {said.strip()}")
        return {"s": took_s, "memory": memory}

    def _memory(self, run):
        return {"memory": run["memory"], "pages": self.base.large.stat().st_size // 4096}

    def _of_large(self, run):
        return {**run, **self._memory(run)}

    # -- the archive ----------------------------------------------------------------

    def _make(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "ltx" / "9").mkdir(parents=True)
        (self.folder / "ltx" / "0").mkdir()
        path = self.folder / "app.db"
        shutil.copyfile(self.base.large, path)
        db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "wal_autocheckpoint=0", "synchronous=OFF"):
            db.execute("PRAGMA " + pragma)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page_size = db.execute("PRAGMA page_size").fetchone()[0]
        self.rows = db.execute("SELECT max(id) FROM t").fetchone()[0]
        self._write(path, 9, 1, page_size)
        for txid in range(2, INCREMENTS + 2):
            db.execute("BEGIN")
            for _ in range(ROWS):
                db.execute("UPDATE t SET qty = random() WHERE id = ?",
                           (random.randrange(1, self.rows),))
            db.execute("COMMIT")
            pages = self._pages_of_wal(f"{path}-wal", page_size)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._write(path, 0, txid, page_size, sorted(pages))
        db.close()
        path.unlink()

    def _write(self, path, level, txid, page_size, pages=()):
        out = self.folder / "ltx" / str(level) / f"{txid:016x}-{txid:016x}.ltx"
        self.base.tools.run("ltx_write", path, out, page_size, txid, txid, *pages)

    @staticmethod
    def _pages_of_wal(path, page_size):
        with open(path, "rb") as file:
            content = file.read()
        return {struct.unpack_from(">I", content, at)[0]
                for at in range(32, len(content), page_size + 24)}

    # -- one query --------------------------------------------------------------------

    def _query(self, rowid):
        """(seconds, bytes that were read by whatever call)"""
        began = time.monotonic()
        process = subprocess.Popen(
            [str(self.base.rowtail), "sql", str(self.folder), "--at", "latest",
             f"SELECT * FROM t WHERE id = {rowid}"],
            stdout=subprocess.PIPE)
        line = process.stdout.readline()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        took_s = time.monotonic() - began
        with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
            read = int(file.readline().split()[1])
        if process.wait() != 0 or not line.startswith(b"{"):
            raise BenchError(f"rowtail sql failed, exit {process.returncode}")
        return took_s, read

# SPDX-License-Identifier: Apache-2.0
"""The measurements of audit logs: what a line costs, and how fast they are read."""

import glob
import os
import resource
import shutil
import signal
import subprocess
import time

from figures import WRITERS
from processes import BenchError
from shop import CONTEXT_TABLE, END, Shop

SHOP_TRANSACTIONS = 20  # rows of the plan for one of these


class AuditFigures:
    """Made with the other figures (`base`)."""

    def __init__(self, base):
        self.base = base
        self.folder = base.folder / "audit"
        self.lines = 0

    # -- figures -------------------------------------------------------------------

    def cpu(self):
        """CPU of a row of a snapshot, beyond that of the same into a file."""
        path = self.base.fresh()
        self.base.write(path, "--per-txn", 1000, "--txns", self.base.plan.rows // 1000)
        used = {}
        for scheme in ("file", "audit"):
            self._empty()
            used[scheme] = self._once(path, f"{scheme}:{self.folder}/out", "-D",
                                      "audit.compress=false")
        self.base.remove(path)
        rows = self.base.plan.rows
        return {"us": (used["audit"] - used["file"]) / rows * 1e6,
                "file_us": used["file"] / rows * 1e6}

    def latency(self):
        """From commit to a line in the file, which the sync of the file itself makes
        durable: that is the one fsync that is not counted."""
        self._empty()
        os.makedirs(self.folder, exist_ok=True)
        path, out = self.base.fresh(), self.folder / "out"
        arguments = ["--state", str(self.folder / "state"), "--to", f"audit:{out}", "-D",
                     "snapshot.mode=no_data"]
        with self.base.follow(path, core=None, arguments=arguments):
            lines = subprocess.Popen(["tail", "-n", "+1", "-f", str(out)],
                                     stdout=subprocess.PIPE)
            try:
                reader = self.base.tools.start(
                    "latency", path, "--rate", 200, "--count",
                    int(200 * self.base.plan.latency_s), stdin=lines.stdout)
                result = self.base.tools.result(reader)
            finally:
                lines.kill()
                lines.wait()
        self.base.remove(path)
        self._empty()
        if reader.returncode != 0:
            raise BenchError(f"{result['lines']} of {result['commits']} lines came")
        return {name: result[name] for name in ("p50_ms", "p99_ms", "max_ms")}

    def size(self):
        """Bytes of a line of a changed row, as it stands and compressed: of a shop, whose
        transactions say who wrote them and why."""
        self._empty()
        path = self.folder / "shop.db"
        shop = Shop(path)
        shop.open()
        sink = f"audit:{self.folder}/log"
        with self.base.follow(path, core=None, arguments=[
                "--to", sink, "--state", str(self.folder / "state"), "-D",
                "snapshot.mode=no_data", "-D",
                f"transaction.context.table={CONTEXT_TABLE}"]) as follower:
            shop.work(self.base.plan.rows // SHOP_TRANSACTIONS)
            shop.end()
            self._wait(lambda: END.encode() in (self.folder / "log").read_bytes())
            follower.process.send_signal(signal.SIGHUP)  # a new file
            self._wait(lambda: self._files()[0].endswith(".zst"))
            follower.stop()
        shop.close()
        plain = rows = 0
        for line in self._lines():
            plain += len(line)
            rows += b'"key":{' in line  # of a changed row
        result = {"plain": plain / rows,
                  "zstd": os.path.getsize(self._files()[0]) / rows}
        self._empty()
        return result

    def verify(self):
        self._make()
        took = self._timed("verify")
        return {"lines_s": self.lines / took}

    def history(self):
        """What became of one row, in ten million lines: by as many as there are."""
        self._make()
        took = min(self._timed("history", "t", "77") for _ in range(3))
        return {"s": took * 1e7 / self.lines}

    def live(self, kind, file_first):
        """The writer's throughput beside an audit log, against beside a file."""
        writer = WRITERS[kind] + ["--seconds", self.base.plan.live_s]
        rates = {}
        for scheme in ("file", "audit") if file_first else ("audit", "file"):
            self._empty()
            path = self.base.fresh()
            arguments = ["--state", str(self.folder / "state"), "--to",
                         f"{scheme}:{self.folder}/out", "-D", "snapshot.mode=no_data"]
            with self.base.follow(path, arguments=arguments) as follower:
                wrote = self.base.write(path, *writer)
                follower.stop()
            self.base.remove(path)
            rates[scheme] = wrote["commits_s"]
        self._empty()
        return {"speed": rates["audit"] / rates["file"], "file_s": rates["file"]}

    # -- a log ---------------------------------------------------------------------

    def _empty(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.lines = 0

    def _once(self, path, sink, *arguments):
        """CPU seconds of one run to its end."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [str(self.base.rowtail), str(path), "--to", sink, "--state",
             str(self.folder / "state"), "--once", "--quiet", *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BenchError(done.stderr.decode())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)

    def _files(self):
        return sorted(glob.glob(glob.escape(str(self.folder / "log")) + ".[0-9]*"))

    def _make(self):
        """All rows of the database in one log, closed files compressed."""
        if self.lines:
            return
        self._empty()
        path = self.base.fresh()
        self.base.write(path, "--per-txn", 1000, "--txns", self.base.plan.rows // 1000)
        sink = f"audit:{self.folder}/log"
        self._once(path, sink)
        with self.base.follow(path, arguments=["--to", sink, "--state",
                                               str(self.folder / "state")]) as follower:
            self._wait(lambda: all(name.endswith(".zst") for name in self._files()[:-1]))
            follower.stop()
        self.base.remove(path)
        self.lines = sum(1 for _ in self._lines())

    @staticmethod
    def _wait(is_there):
        until = time.monotonic() + 600
        while not is_there():
            if time.monotonic() > until:
                raise BenchError("the audit log does not come to its end")
            time.sleep(0.1)

    def _lines(self):
        with subprocess.Popen([str(self.base.rowtail), "audit", "cat",
                               str(self.folder / "log")], stdout=subprocess.PIPE) as cat:
            yield from cat.stdout

    def _timed(self, action, *words):
        began = time.monotonic()
        done = subprocess.run(
            [str(self.base.rowtail), "audit", action, str(self.folder / "log"), *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BenchError(done.stderr.decode())
        return time.monotonic() - began

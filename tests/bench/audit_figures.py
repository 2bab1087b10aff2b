# SPDX-License-Identifier: Apache-2.0
"""The measurements of audit logs: what a line costs, and how fast they are read."""

import glob
import os
import resource
import shutil
import subprocess
import time

from figures import WRITERS
from kafka_figures import NotRun
from processes import BenchError


class AuditFigures:
    """Made with the other figures (`base`)."""

    def __init__(self, base):
        self.base = base
        self.folder = base.folder / "audit"
        self.lines = 0
        self.packed_lines = 0  # of them in files that are compressed

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
        """Bytes of a line of a changed row, as it stands and compressed."""
        self._make()
        if not self.packed_lines:
            raise NotRun("all of it is in one file, which is not compressed")
        plain = int(self._output("cat"))
        packed = sum(os.path.getsize(name) for name in self._files() if
                     name.endswith(".zst"))
        return {"plain": plain / self.lines, "zstd": packed / self.packed_lines}

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
            until = time.monotonic() + 600
            while not all(name.endswith(".zst") for name in self._files()[:-1]):
                if time.monotonic() > until:
                    raise BenchError("files are not compressed")
                time.sleep(0.1)
            follower.stop()
        self.base.remove(path)
        self.packed_lines = int(os.path.basename(self._files()[-1]).rsplit(".", 1)[1])
        self.lines = int(self._output("cat", lines=True))

    def _output(self, action, lines=False):
        with subprocess.Popen(
                [str(self.base.rowtail), "audit", action, str(self.folder / "log")],
                stdout=subprocess.PIPE) as process:
            total = 0
            while block := process.stdout.read(1 << 20):
                total += block.count(b"\n") if lines else len(block)
        return total

    def _timed(self, action, *words):
        began = time.monotonic()
        done = subprocess.run(
            [str(self.base.rowtail), "audit", action, str(self.folder / "log"), *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise BenchError(done.stderr.decode())
        return time.monotonic() - began

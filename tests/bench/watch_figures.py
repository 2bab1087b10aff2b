# SPDX-License-Identifier: Apache-2.0
"""What being watched costs, and what a follower costs that has nothing to do."""

import signal
import statistics
import time

from processes import BenchError

PAIRS = 3  # of latencies
CPU_PAIRS = 12
METRICS = ("-D", "metrics.listen=127.0.0.1:0")
EVENT_MIN_BYTES = 200
IDLE_S = 60


class WatchFigures:
    def __init__(self, figures):
        self.figures = figures

    def _cpu_of_drain(self, arguments):
        """CPU seconds for the plan's rows, which wait in the WAL."""
        figures = self.figures
        path, rows = figures.fresh(), figures.plan.rows
        with figures.follow(path, arguments=arguments) as follower:
            follower.process.send_signal(signal.SIGSTOP)
            figures.write(path, "--per-txn", 1000, "--txns", rows // 1000)
            before = follower.usage.cpu_s()
            follower.process.send_signal(signal.SIGCONT)
            follower.wait_until_quiet(rows * EVENT_MIN_BYTES)
            used = follower.usage.cpu_s() - before
            follower.stop()
        figures.remove(path)
        return used

    @staticmethod
    def _medians(pairs, measure):
        """With metrics and without, in turns: one run alone says little."""
        found = {METRICS: [], (): []}
        for i in range(pairs):
            for arguments in (METRICS, ()) if i % 2 else ((), METRICS):
                found[arguments].append(measure(arguments))
        return [statistics.median(found[how]) for how in (METRICS, ())]

    def cpu(self):
        with_it, without = self._medians(CPU_PAIRS, self._cpu_of_drain)
        return {"ratio": with_it / without, "without_s": without}

    def latency(self):
        """Nobody asks for the metrics."""
        with_it, without = self._medians(
            PAIRS, lambda arguments: self.figures.latency(arguments)["p99_ms"])
        return {"ratio": with_it / without, "p99_ms": without}

    @staticmethod
    def _switches(follower):
        total = 0
        for task in (follower.usage.folder / "task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
        return total

    def idle(self, how=""):
        """A database that somebody has open and nobody writes to."""
        arguments = METRICS if how == "watched" else ()
        figures = self.figures
        path = figures.fresh()
        with figures.follow(path, arguments=arguments) as follower:
            time.sleep(2)
            cpu, switches = follower.usage.cpu_s(), self._switches(follower)
            began_s = time.monotonic()
            time.sleep(min(IDLE_S, figures.plan.live_s))
            took_s = time.monotonic() - began_s
            if follower.process.poll() is not None:
                raise BenchError("rowtail ended")
            result = {
                "percent": (follower.usage.cpu_s() - cpu) / took_s * 100,
                "wakes_s": (self._switches(follower) - switches) / took_s,
                "memory": follower.usage.memory_bytes(),
            }
            follower.stop()
        figures.remove(path)
        return result

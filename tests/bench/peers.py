#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rowtail beside the other ways to get changes out of SQLite, on the same work in one run.

Writer, tables, rows and transactions are the same for each, in turns; ratios are to a
writer that nobody follows. Of all runs of a kind more than half count, those in which
other programs of the machine used least; figures are their medians. The writer has a core
of its own; who follows shares the other one with a reader of its lines, whose CPU is not
counted.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bench import QUICK, machine_lines  # noqa: E402
from figures import ROWTAIL_CORE, TABLE_ROWS, WRITER_CORE, Figures  # noqa: E402
from peers import ways  # noqa: E402
from peers.debezium import Debezium  # noqa: E402
from peers.others import least_disturbed, measured  # noqa: E402
from processes import BenchError  # noqa: E402

# (name, what the writer does, transactions, rows of each)
KINDS = [("bulk", "inserts, 1000 a transaction", [], 1000, 1000),
         ("one-row", "inserts, one a transaction", [], 200_000, 1),
         ("update", "random updates, 100 a transaction", ["--mode", "update"], 3000, 100)]
MASK = (1 << 64) - 1
SEEN_LIMIT_S = 120
SETTLE_S = 0.5
RATE = 200
BUSY_CORES = 0.3  # where others use more, speed and CPU are not what they would be
DEBEZIUM = "Debezium"
DEBEZIUM_POLL_MS = [500, 10]  # poll.interval.ms: its default, and one for short lags


def distinct_rows(txns, per_txn):
    """How many rows change in writer.c's random updates: two of one row in a transaction
    are one change to those who see only commits."""
    random, total = 0x9E3779B97F4A7C15, 0
    for _ in range(txns):
        rows = set()
        for _ in range(per_txn):
            random ^= random << 13 & MASK
            random ^= random >> 7
            random ^= random << 17 & MASK
            rows.add(random % TABLE_ROWS)
        total += len(rows)
    return total


class Peers:
    def __init__(self, base, scale, latency_s):
        self.base = base
        self.scale = scale
        self.latency_s = latency_s
        self.ways = [kind(base) for kind in ways.ALL]
        self.has_debezium = True
        self.kinds = [(name, text, words, max(1, txns // scale), per_txn)
                      for name, text, words, txns, per_txn in KINDS]
        self.expected = {name: txns * per_txn for name, _, _, txns, per_txn in self.kinds}
        self.distinct = dict(self.expected)
        for name, _, words, txns, per_txn in self.kinds:
            if words:
                self.distinct[name] = distinct_rows(txns, per_txn)

    def alone(self, kind):
        name, _, words, txns, per_txn = kind
        path = self.base.fresh()
        before = path.stat().st_size
        wrote = self.base.write(path, *words, "--txns", txns, "--per-txn", per_txn)
        return self._numbers(name, path, before, wrote, 0)

    def followed(self, way, kind):
        name, _, words, txns, per_txn = kind
        path = self.base.fresh()
        way.prepare(path)
        program = way.follow(path, ROWTAIL_CORE)
        try:
            before = path.stat().st_size
            beside = sum(ways.bytes_under(folder) for folder in way.elsewhere())
            reader = self._reader(way, program, name)
            cpu = program.usage.cpu_s()
            wrote = self.base.write(path, *words, "--txns", txns, "--per-txn", per_txn,
                                    *way.writer_arguments())
            seen_s = self._all_seen_s(way, reader, name)
            time.sleep(SETTLE_S)
            wrote["wal_peak"] = max(wrote["wal_peak"], self._wal_bytes(path))
            cpu = program.usage.cpu_s() - cpu
        finally:
            program.stop()
        run = self._numbers(name, path, before, wrote, cpu)
        beside = sum(ways.bytes_under(f) for f in way.elsewhere()) - beside
        run["beside"] = max(0, beside) / self.expected[name]
        run["follower_us"] = cpu / self.expected[name] * 1e6
        run["lag_ms"] = max(0.0, seen_s * 1e3 - wrote["end_ns"] / 1e6)
        shutil.rmtree(way.folder, ignore_errors=True)
        return run

    @staticmethod
    def _wal_bytes(path):
        wal = path.with_name(path.name + "-wal")
        return wal.stat().st_size if wal.exists() else 0

    def _reader(self, way, program, name):
        if not way.has_lines:
            return None
        lines = (self.expected if way.tells_every_change else self.distinct)[name]
        reader = self.base.tools.start("count_lines", "--lines", lines,
                                       core=ROWTAIL_CORE, stdin=program.process.stdout)
        program.process.stdout.close()
        program.process.stdout = None
        return reader

    def _all_seen_s(self, way, reader, name):
        """Monotonic time at which the last change was told."""
        if reader is None:
            return way.last_written_s()
        try:
            reader.wait(SEEN_LIMIT_S)
        except subprocess.TimeoutExpired as late:
            reader.kill()
            raise BenchError(f"{way.name}: not all lines in {SEEN_LIMIT_S} s") from late
        result = self.base.tools.result(reader)
        lines = (self.expected if way.tells_every_change else self.distinct)[name]
        if result["lines"] < lines:
            raise BenchError(f"{way.name}: {result['lines']} of {lines} changes came")
        return result["last_ns"] / 1e9

    def _numbers(self, name, path, before, wrote, cpu):
        rows = self.expected[name]
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        run = {"rows_s": wrote["rows_s"], "cpu_us": (cpu + wrote["cpu_s"]) / rows * 1e6,
               "wal": wrote["wal_peak"], "busy": wrote["busy"] / wrote["commits"] * 1e6,
               "grown": (path.stat().st_size - before) / rows}
        self.base.remove(path)
        return run

    def latency(self, way):
        path = self.base.fresh()
        way.prepare(path)
        program = way.follow(path)
        try:
            count = int(RATE * self.latency_s)
            tool = self.base.tools.start(
                "latency", path, "--rate", RATE, "--count", count,
                *way.writer_arguments(), stdin=program.process.stdout
                if way.has_lines else subprocess.DEVNULL)
            result = self.base.tools.result(tool)
            if not way.has_lines:
                way.last_written_s()
                result = self._late_latency(way, count)
            elif tool.returncode != 0:
                raise BenchError(f"{way.name}: {result['lines']} of {count} lines came")
        finally:
            program.stop()
        self.base.remove(path)
        shutil.rmtree(way.folder, ignore_errors=True)
        return {"p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"]}

    def debezium(self, poll_ms):
        return Debezium().run(self.expected["bulk"], self.latency_s, poll_ms)

    @staticmethod
    def _late_latency(way, count):
        times = sorted(way.latency_ms())
        if len(times) != count:
            raise BenchError(f"{way.name}: {len(times)} of {count} rows came")
        return {"p50_ms": times[count // 2], "p99_ms": times[count * 99 // 100]}


def gather(peers, rounds):
    """{(way's name, kind): [run, ...]}, "" is the writer alone; {way's name: why not}."""
    runs, not_run = {}, {}

    def take(name, kind, make):
        if name in not_run:
            return
        try:
            run = measured(make)
        except ways.NotRun as why:
            not_run[name] = str(why)
            print(f"  {name}: not run: {why}", flush=True)
            return
        except BenchError as why:
            print(f"  {name} {kind}: {why}", flush=True)
            return
        runs.setdefault((name, kind), []).append(run)
        print(f"  {name or 'alone'} {kind}: "
              + ", ".join(f"{k} {v:.4g}" for k, v in run.items()), flush=True)

    for number in range(rounds):
        order = peers.ways if number % 2 == 0 else peers.ways[::-1]
        for kind in peers.kinds:
            take("", kind[0], lambda kind=kind: peers.alone(kind))
            for way in order:
                take(way.name, kind[0], lambda way=way, kind=kind: peers.followed(way, kind))
        for way in order:
            take(way.name, "latency", lambda way=way: peers.latency(way))
        if peers.has_debezium:
            for poll_ms in DEBEZIUM_POLL_MS:
                take(DEBEZIUM, poll_ms, lambda ms=poll_ms: peers.debezium(ms))
    return {key: least_disturbed(found) if len(found) * 2 > rounds else []
            for key, found in runs.items()}, not_run


def number_text(value):
    if value == 0:
        return "0"
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def table_lines(peers, runs, not_run):
    def median(name, kind, value):
        found = runs.get((name, kind))
        return statistics.median(run[value] for run in found) if found else None

    def calm(name, kind, value):
        used = median(name, kind, "others")
        return None if used is None or used > BUSY_CORES else median(name, kind, value)

    def ratio(name, kind, value):
        ours, alone = calm(name, kind, value), calm("", kind, value)
        return ours / alone if ours and alone else None

    def row(what, alone, cell):
        cells = ["not run" if way.name in not_run else cell(way) or "-"
                 for way in peers.ways]
        lines.append("| " + " | ".join([what, alone or "-", *cells]) + " |")

    def show(value, unit="", sign=""):
        return "" if value is None else sign + number_text(value) + unit

    lines = ["| | writer alone | " + " | ".join(way.name for way in peers.ways) + " |",
             "|---" * (len(peers.ways) + 2) + "|"]
    for kind, text, *_ in peers.kinds:
        row(f"the writer's rows/s: {text}",
            show(calm("", kind, "rows_s")),
            lambda way: show(ratio(way.name, kind, "rows_s"), "×"))
    for kind, text, *_ in peers.kinds:
        row(f"CPU of a row, writer and follower: {text}",
            show(calm("", kind, "cpu_us"), " µs"),
            lambda way: show(ratio(way.name, kind, "cpu_us"), "×"))
    for kind, text, *_ in peers.kinds:
        row(f"CPU of a row, the follower alone: {text}", "",
            lambda way: show(calm(way.name, kind, "follower_us"), " µs"))
    for value, text in [("p50_ms", "p50"), ("p99_ms", "p99")]:
        row(f"commit to change seen, {RATE} commits/s: {text}", "",
            lambda way: show(median(way.name, "latency", value), " ms"))
    for kind, text, *_ in peers.kinds:
        row(f"the last change seen after the writer's end: {text}", "",
            lambda way: show(median(way.name, kind, "lag_ms"), " ms"))
    for value, what in [("grown", "the database grows, a row"),
                        ("beside", "files beside it grow, a row")]:
        for kind, text, *_ in peers.kinds:
            row(f"{what}: {text}",
                show(median("", kind, value), " B") if value == "grown" else "",
                lambda way: show(median(way.name, kind, value), " B"))
    for kind, text, *_ in peers.kinds:
        row(f"WAL peak: {text}", show(megabytes(median("", kind, "wal")), " MB"),
            lambda way: show(megabytes(median(way.name, kind, "wal")), " MB"))
    for kind, text, *_ in peers.kinds:
        row(f"SQLITE_BUSY per million commits: {text}", show(median("", kind, "busy")),
            lambda way: show(median(way.name, kind, "busy")))
    return lines


def megabytes(value):
    return None if value is None else value / 1e6


def debezium_lines(runs):
    """For scale: another database and writer, so no ratios."""
    for poll_ms in DEBEZIUM_POLL_MS:
        found = runs.get((DEBEZIUM, poll_ms), [])
        if found:
            cpu, p50, p99 = (statistics.median(run[value] for run in found)
                             for value in ("cpu_us", "p50_ms", "p99_ms"))
            yield (f"- Debezium's PostgreSQL connector, embedded, without Kafka, the same"
                   f" rows in another database, poll.interval.ms={poll_ms}: CPU of an event"
                   f" {cpu:.1f} µs (inserts, 1000 a transaction); commit to line"
                   f" p50 {p50:.0f} ms, p99 {p99:.0f} ms.")


def settings_lines(peers, runs, not_run):
    yield ("- SQLite: journal_mode=WAL, synchronous=NORMAL, automatic checkpoints at 1000"
           " pages, pages of 4096 bytes, busy_timeout 0; after SQLITE_BUSY the writer"
           f" sleeps 1 ms. The table has {TABLE_ROWS:,} rows at the start.")
    for way in peers.ways:
        yield f"- {way.settings}."
    if any(isinstance(way, ways.Litestream) and way.name not in not_run
           for way in peers.ways):
        yield f"- Litestream is {ways.litestream_version()}."
    yield from debezium_lines(runs)
    for name, why in [*ways.LEFT_OUT.items(), *not_run.items()]:
        yield f"- {name}: not run: {why}."


def report_lines(peers, runs, not_run, rounds):
    used = [run["others"] for (name, _), found in runs.items() for run in found
            if name != DEBEZIUM] or [0]  # its server would seem to be somebody else
    yield f"Medians; {rounds} runs, {time.strftime('%Y-%m-%d')}. Beside those that count"
    yield (f"other programs used {max(0, statistics.median(used)):.2f} cores, at most"
           f" {max(0, *used):.2f}.")
    if max(used) > BUSY_CORES:
        yield (f"Speed and CPU are left out (-) where that was more than {BUSY_CORES}; times"
               " are longer than on an idle machine.")
    yield ""
    yield from table_lines(peers, runs, not_run)
    yield ""
    yield from settings_lines(peers, runs, not_run)


def write_report(path, lines):
    """Between the marks of docs/performance.md."""
    page = path.read_text(encoding="utf-8")
    head, begin, rest = page.partition("<!-- PEERS: begin.")
    comment, _, rest = rest.partition("-->")
    _, end, tail = rest.partition("<!-- PEERS: end -->")
    if not end:
        sys.exit(f"peers: {path} has no PEERS marks")
    path.write_text(head + begin + comment + "-->\n\n" + "\n".join(lines) + "\n\n"
                    + end + tail, encoding="utf-8")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rowtail", default="build/rowtail")
    parser.add_argument("--tools", default="build/release/bench")
    parser.add_argument("--folder", default="build/bench", help="for the databases")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--latency-s", type=int, default=20)
    parser.add_argument("--only", action="append", metavar="WAY",
                        choices=[DEBEZIUM, *(w.name for w in ways.ALL)],
                        help="these ways alone, may be repeated")
    parser.add_argument("--quick", action="store_true",
                        help="one short round, to see that it works")
    parser.add_argument("--write", type=pathlib.Path, metavar="PAGE",
                        help="put the table between the PEERS marks of that page")
    return parser.parse_args()


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends, too
    folder = (pathlib.Path(options.folder) / "peers").resolve()
    base = Figures(pathlib.Path(options.rowtail).resolve(),
                   pathlib.Path(options.tools).resolve(), folder, QUICK)
    header = list(machine_lines(base.rowtail))
    rounds = 1 if options.quick else options.runs
    began = time.monotonic()
    base.prepare()
    peers = Peers(base, 20 if options.quick else 1,
                  2 if options.quick else options.latency_s)
    if options.only:
        peers.ways = [way for way in peers.ways if way.name in options.only]
        peers.has_debezium = DEBEZIUM in options.only
    runs, not_run = gather(peers, rounds)
    if not runs:
        return 1
    lines = list(report_lines(peers, runs, not_run, rounds))
    print("\n" + "\n".join([*header, *lines]))
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes.")
    if options.quick or rounds < 3:
        print("Shortened runs: not the figures of the table.")
    if options.write:
        write_report(options.write, lines)
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of figures: what rowtail costs and how fast it is, as ratios in one run.

Each figure is the median of --runs runs. Where two programs are compared they run one
after the other, in turns, so that a slower minute of the machine slows both. A live run
at whose end rowtail is more than a second behind does not count.
"""

import argparse
import collections
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from archive_figures import ArchiveFigures  # noqa: E402
from audit_figures import AuditFigures  # noqa: E402
from figures import Figures, is_counted  # noqa: E402
from kafka_figures import KafkaFigures, NotRun  # noqa: E402
from processes import BenchError  # noqa: E402
from snapshot_figures import SnapshotFigures  # noqa: E402
from state_figures import StateFigures  # noqa: E402
from watch_figures import WatchFigures  # noqa: E402

MIB = 1 << 20

Plan = collections.namedtuple(
    "Plan", "rows live_s latency_s updates large_mb"
)
FULL = Plan(rows=1_000_000, live_s=60, latency_s=20, updates=20_000, large_mb=2048)
QUICK = Plan(rows=100_000, live_s=3, latency_s=3, updates=3_000, large_mb=64)

# One line of the table. `source` names the runs it is taken from (see `make_run`),
# `value` gives the number of one run, `reach` and `aim` are limits: at least (">=") or
# at most ("<="). A limit may be a function of a run.
Row = collections.namedtuple("Row", "name what source value sense reach aim show")


def ratio(number):
    return f"{number:.2f}×" if number < 10 else f"{number:.1f}×"


def plain(number):
    return f"{number:.3g}"


def ms(number):
    return f"{number:.2f} ms"


def microseconds(number):
    return f"{number:.2f} µs"


def seconds(number):
    return f"{number:.2f} s"


def mib(number):
    return f"{number / MIB:.1f} MiB"


def megabytes(number):
    return f"{number / 1e6:.1f} MB"


def per_million(number):
    return f"{number:.0f}"


def key(name):
    return lambda run: run[name]


def memory_limit(mib_fixed, bytes_per_page):
    return lambda run: mib_fixed * MIB + bytes_per_page * run["pages"]


def live_rows():
    speed = [
        ("throughput", "paced-1ms", "NORMAL, paced 1 ms", 0.99, 1.0),
        ("throughput", "bulk", "NORMAL, flat out, 1000-row transactions", 1.0, 1.2),
        ("throughput", "one-row", "NORMAL, flat out, one-row", 0.9, 1.0),
        ("full", "one-row-full", "FULL, flat out, one-row", 0.93, 1.0),
    ]
    for name, kind, text, reach, aim in speed:
        yield Row(name, f"throughput followed / alone: {text}", f"live {kind}",
                  key("speed"), ">=", reach, aim, ratio)
    for kind, text in [("paced-50us", "paced 50 µs"), ("paced-1ms", "paced 1 ms")]:
        yield Row("tail", f"p99.9 of a commit, followed / alone: {text}",
                  f"live {kind}", key("tail"), "<=", 1.0, 0.2, ratio)
    busy = [
        ("paced-1ms", "paced 1 ms", 0),
        ("paced-50us", "paced 50 µs", 0),
        ("one-row-full", "flat out FULL", 0),
        ("one-row", "flat out NORMAL", 300),
        ("bulk", "flat out NORMAL, 1000-row", 300),
    ]
    for kind, text, reach in busy:
        yield Row("busy", f"SQLITE_BUSY per million commits: {text}", f"live {kind}",
                  key("busy_million"), "<=", reach, 0, per_million)
    yield Row("wal", "WAL peak followed / alone: paced 1 ms", "live paced-1ms",
              key("wal"), "<=", 1.5, 1.0, ratio)
    for kind, text in [("one-row", "one-row"), ("bulk", "1000-row")]:
        yield Row("wal", f"WAL peak, flat out, {text}", f"live {kind}",
                  key("wal_peak"), "<=", 64e6, 16e6, megabytes)


def all_rows():
    yield Row("drain", "drain of a million rows: events/s / writer's rows/s", "drain",
              key("ratio"), ">=", 2, 4, ratio)
    for kind, text in [("bulk", "bulk inserts"),
                       ("update", "random single-column updates, 100 a transaction"),
                       ("one-row", "one-row transactions")]:
        yield Row("cpu", f"rowtail CPU per event / writer CPU per row: {text}",
                  f"cpu {kind}", key("ratio"), "<=", 0.5, 0.25, ratio)
        yield Row("cpu", "(for comparison: CPU of both / of the writer alone, which"
                  f" does its own checkpoints: {text})", f"cpu {kind}", key("together"),
                  "<=", None, None, ratio)
    yield Row("cpu", "(for comparison: bulk inserts, stdout a pipe)", "cpu-pipe bulk",
              key("ratio"), "<=", None, None, ratio)
    yield Row("latency", "commit to line at 200 commits/s: p50", "latency",
              key("p50_ms"), "<=", 1, 0.2, ms)
    yield Row("latency", "commit to line at 200 commits/s: p99", "latency",
              key("p99_ms"), "<=", 5, 1, ms)
    yield from live_rows()
    yield Row("size", "CPU per one-row update: large table / 10 MB table", "size",
              key("ratio"), "<=", 1.3, 1.1, ratio)
    yield Row("memory", "memory while following the large database", "size",
              key("memory"), "<=", memory_limit(64, 8), memory_limit(16, 5), mib)
    yield Row("start", "start to following, large database", "start",
              key("following_s"), "<=", 1, 0.1, seconds)
    yield Row("overflow", "start to the event of an update of an overflow page only",
              "start", key("overflow_s"), "<=", 10, 3, seconds)
    yield Row("ddl", "CPU of a schema change in a database of 3,000 tables", "ddl",
              key("many_ms"), "<=", 3, 1, ms)
    yield Row("ddl", "(for comparison: in one of 10 tables)", "ddl", key("few_ms"),
              "<=", None, None, ms)
    yield Row("snapshot", "--snapshot rows/s / sqlite3 -json", "snapshot",
              key("ratio"), ">=", 3, 6, ratio)
    yield from watch_rows()
    yield from asked_rows()
    yield from state_rows()
    yield from slow_disk_rows()
    yield Row("sql", "sql: one row by key out of an archive of the large database with"
              " 500 increments", "archive-sql", key("s"), "<=", 0.3, 0.05, seconds)
    yield Row("sql", "(bytes read for it)", "archive-sql", key("bytes"), "<=", 4e6, 1e6,
              megabytes)
    yield from archive_rows()
    yield from audit_rows()
    yield from kafka_rows()


def asked_rows():
    yield Row("asked", "snapshot on demand, rows/s / --snapshot", "asked-rate",
              key("ratio"), ">=", 0.5, 0.8, ratio)
    yield Row("asked", "snapshot on demand, memory beyond following", "asked-rate",
              key("memory"), "<=", 16 * MIB, 4 * MIB, mib)
    yield Row("asked", "snapshot on demand, from `rowtail signal` to the first row",
              "asked-first", key("ms"), "<=", 50, 10, ms)
    yield Row("asked", "commit to line at 1,000 commits/s, added by a snapshot on demand:"
              " p99", "asked-latency", key("p99_ms"), "<=", 20, 5, ms)
    yield Row("asked", "throughput beside a snapshot on demand / without: flat out,"
              " one-row", "asked-live one-row", key("speed"), ">=", 0.97, 1.0, ratio)


def audit_rows():
    yield Row("audit", "audit log: CPU of a row of a snapshot, beyond --to file:",
              "audit-cpu", key("us"), "<=", 0.6, 0.45, microseconds)
    for kind, text in [("one-row", "flat out, one-row"),
                       ("bulk", "flat out, 1000-row transactions"),
                       ("paced-1ms", "paced 1 ms")]:
        yield Row("audit", f"audit log: throughput beside it / beside --to file: {text}",
                  f"audit-live {kind}", key("speed"), ">=", 0.98, 1.0, ratio)
    for name, reach, aim in [("p50", 1, 0.3), ("p99", 5, 1)]:
        yield Row("audit", "audit log: commit to durable line at 200 commits/s, beyond one"
                  f" fsync: {name}", "audit-latency", key(name + "_ms"), "<=", reach, aim,
                  ms)
    yield Row("audit", "audit verify, lines/s", "audit-verify", key("lines_s"), ">=", 1e6,
              2e6, plain)
    yield Row("audit", "audit history of one row, for ten million lines in compressed files",
              "audit-history", key("s"), "<=", 2, 0.5, seconds)
    yield Row("audit", "audit log of a shop: bytes a line", "audit-size", key("plain"),
              "<=", 260, 220, plain)
    yield Row("audit", "audit log of a shop: bytes a line, compressed", "audit-size",
              key("zstd"), "<=", 45, 38, plain)


def archive_rows():
    large = "archive of the large database with 500 increments"
    yield Row("restore", f"restore of an {large}: its speed / Litestream's",
              "archive-restore", key("ratio"), ">=", 1.5, 3, ratio)
    for kind, text, reach in [("one-row", "flat out, one-row", 0.97),
                              ("bulk", "flat out, 1000-row transactions", 0.95),
                              ("paced-1ms", "paced 1 ms", 0.99)]:
        yield Row("archive", f"--archive: throughput with / with --state alone: {text}",
                  f"archive-live {kind}", key("speed"), ">=", reach, 1.0, ratio)
    yield Row("archive-cpu", "--archive: CPU for each archived page, beyond --state alone",
              "archive-cpu", key("us"), "<=", 8, 5, microseconds)
    for kind, text, reach, aim in [("one-row", "one-row inserts", 0.4, 0.2),
                                   ("update", "random updates", 0.6, 0.4)]:
        yield Row("archived", f"--archive: bytes archived / bytes of WAL: {text}",
                  f"archive-volume {kind}", key("ratio"), "<=", reach, aim, ratio)
    yield Row("diff", "diff of two moments 1,000 changed rows apart, large database",
              "archive-diff", key("s"), "<=", 0.5, 0.1, seconds)
    yield Row("diff", "diff OLD NEW, large database, 1 % of pages changed: bytes/s / cat",
              "archive-files", key("ratio"), ">=", 0.5, 0.8, ratio)
    yield Row("diff", "(against sqldiff: its time / ours)", "archive-files",
              key("sqldiff"), ">=", 5, 20, ratio)
    yield Row("events", "events from an archive, events/s / live decoding of a backlog"
              " with a state directory", "archive-rate", key("ratio"), ">=", 0.5, 1.0,
              ratio)
    yield Row("s3", f"restore of an {large}, in a bucket here: its speed / Litestream's",
              "archive-far", key("ratio"), ">=", 1.2, 2, ratio)
    # Merges of level 2 and 3, thirteen an hour, are too rare for such a run.
    for name, text, reach in [("put", "PUT", 3700), ("list", "LIST", 5)]:
        yield Row("s3", f"requests an hour of one commit a second: {text}",
                  "archive-bucket", key(name), "<=", reach, None, per_million)
    for kind, text in [("restore", "a restore"), ("diff", "a diff of two moments"),
                       ("files", "a diff of two files"), ("events", "events")]:
        yield Row("archive-memory", f"memory of {text}, large database",
                  f"archive-{kind}", key("memory"), "<=", memory_limit(64, 16),
                  memory_limit(32, 8), mib)


def slow_disk_rows():
    for prefix, text in [("", ""), ("state-", "--state: ")]:
        for sync_ms in (5, 30):
            source = f"{prefix}slow-disk {sync_ms}"
            yield Row("slow-disk", f"{text}throughput followed / alone: paced 2 ms, each"
                      f" sync takes {sync_ms} ms longer", source, key("speed"), ">=",
                      0.95, 1.0, ratio)
            yield Row("slow-disk", f"{text}p99 of a commit there, in syncs", source,
                      key("p99_in_syncs"), "<=", 1, 0.1, plain)


def watch_rows():
    yield Row("metrics", "metrics.listen: CPU per event, with / without", "watch-cpu",
              key("ratio"), "<=", 1.01, 1.0, ratio)
    yield Row("metrics", "metrics.listen: p99 from commit to event, with / without",
              "watch-latency", key("ratio"), "<=", 1.1, 1.0, ratio)
    for how, text in [("", "nothing to do"), ("watched", "the same with metrics.listen")]:
        source = f"watch-idle {how}".strip()
        yield Row("idle", f"{text}: CPU, % of a core", source, key("percent"), "<=", 0.05,
                  0.01, plain)
        yield Row("idle", f"{text}: wake-ups/s", source, key("wakes_s"), "<=", 10, 2, plain)
        yield Row("idle", f"{text}: memory", source, key("memory"), "<=", 4 * MIB, 2 * MIB,
                  mib)


def state_rows():
    speed = [("paced-1ms", "paced 1 ms", 0.99, 1.0),
             ("bulk", "flat out, 1000-row transactions", 0.9, 1.1),
             ("one-row", "flat out, one-row", 0.85, 0.95)]
    for kind, text, reach, aim in speed:
        yield Row("state-throughput", f"--state: throughput followed / alone: {text}",
                  f"state-live {kind}", key("speed"), ">=", reach, aim, ratio)
    yield Row("state-drain", "--state: events/s with / without", "state-drain",
              key("ratio"), ">=", 0.8, 0.95, ratio)
    for name, reach, aim in [("p50", 1, 0.2), ("p99", 5, 1)]:
        yield Row("state-latency", "--state: commit to line at 200 commits/s, beyond one"
                  f" fsync: {name}", "state-latency", key(name + "_ms"), "<=", reach, aim,
                  ms)
    for how, text in [("kept", "WAL kept"), ("deleted", "WAL deleted")]:
        yield Row("state-resume", "--state: start after a clean stop to the first new"
                  f" event, large database, {text}", f"state-resume {how}",
                  key("event_s"), "<=", 1, 0.1, seconds)
    yield Row("state-catch-up", "--state: catch-up bytes/s / cat, 1 % of pages changed",
              "state-catch-up", key("ratio"), ">=", 0.4, 0.7, ratio)
    for source, text in [("copy", "the first copy"), ("catch-up", "a catch-up"),
                         ("huge", "a transaction of 10 million rows")]:
        yield Row("state-memory", f"--state: memory during {text}", f"state-{source}",
                  key("memory"), "<=", memory_limit(128, 8), memory_limit(32, 5), mib)
    for kind, text in [("update", "updates, 100 a transaction"),
                       ("one-row", "one-row inserts"), ("bulk", "bulk inserts")]:
        yield Row("state-written", f"--state: bytes written / bytes of WAL: {text}",
                  f"state-written {kind}", key("ratio"), "<=", 2.2, 2.05, ratio)


def kafka_rows():
    for mode in ["exactly-once", "at-least-once"]:
        yield Row("kafka", f"Kafka, backlog to consumer, {mode}: events/s / bare producer",
                  f"kafka-drain {mode}", key("ratio"), ">=", 0.7, 0.9, ratio)
    limits = {"exactly-once": ((25, 10), (100, 30)), "at-least-once": ((5, 2), (25, 10))}
    for mode, (p50, p99) in limits.items():
        for name, (reach, aim) in [("p50", p50), ("p99", p99)]:
            yield Row("kafka", f"Kafka, commit to consumer at 200 commits/s, {mode}: {name}",
                      f"kafka-latency {mode}", key(name + "_ms"), "<=", reach, aim, ms)
    yield Row("kafka", "Kafka, memory with the broker down for a million events",
              "kafka-outage", key("memory"), "<=", memory_limit(128, 8),
              memory_limit(32, 5), mib)
    # Debezium's PostgreSQL connector, embedded, without Kafka: 32 µs on such a machine.
    yield Row("kafka", "Kafka, CPU per event, exactly-once (Debezium's PostgreSQL"
              " connector: 32 µs without Kafka)", "kafka-drain exactly-once",
              key("cpu_us"), "<=", 32 / 5, 32 / 20, microseconds)


def make_run(figures, source, number):
    kind, _, detail = source.partition(" ")
    if kind.startswith("kafka-"):
        return getattr(figures.kafka, kind[6:])(*[detail] if detail else [])
    if kind == "archive-live":
        return figures.archive.live(detail, alone_first=number % 2 == 0)
    if kind == "audit-live":
        return figures.audit.live(detail, file_first=number % 2 == 0)
    if kind == "asked-live":
        return figures.asked.live(detail, alone_first=number % 2 == 0)
    if kind.startswith("watch-"):
        return getattr(figures.watch, kind[6:])(*[detail] if detail else [])
    if kind.startswith("asked-"):
        return getattr(figures.asked, kind[6:])()
    if kind.startswith("audit-"):
        return getattr(figures.audit, kind[6:])()
    if kind.startswith("archive-"):
        return getattr(figures.archive, kind[8:])(*[detail] if detail else [])
    if kind.endswith("slow-disk"):
        where = figures.state if kind.startswith("state-") else figures
        return where.slow_disk(int(detail), alone_first=number % 2 == 0)
    if kind == "state-live":
        return figures.state.live(detail, alone_first=number % 2 == 0)
    if kind.startswith("state-"):
        method = getattr(figures.state, kind[6:].replace("-", "_"))
        return method(*[detail] if detail else [])
    if kind == "cpu":
        return figures.cpu(detail)
    if kind == "cpu-pipe":
        return figures.cpu(detail, to_pipe=True)
    if kind == "live":
        return figures.live(detail, alone_first=number % 2 == 0)
    return getattr(figures, kind)()


def make_runs(figures, source, count):
    """Runs of one source, and why some could not be made."""
    runs, problems = [], []
    for number in range(count):
        try:
            runs.append(make_run(figures, source, number))
            shown = ", ".join(f"{k} {v:.4g}" for k, v in runs[-1].items())
            print(f"  {source} {number + 1}/{count}: {shown}", flush=True)
        except NotRun as problem:
            print(f"  {source}: not run: {problem}", flush=True)
            return [], [f"not run: {problem}"]
        except BenchError as problem:
            problems.append(str(problem))
            print(f"  {source} {number + 1}/{count}: {problem}", flush=True)
    return runs, problems


def judge(row, runs, problems):
    """(shown value, reach, aim, verdict) of a row."""
    counted = [run for run in runs if is_counted(run)]

    def limit_of(limit):
        return limit(counted[0]) if callable(limit) and counted else limit

    def shown(limit):
        return "" if limit is None or callable(limit) else row.show(limit)

    reach, aim = limit_of(row.reach), limit_of(row.aim)
    sign = {"<=": "≤ ", ">=": "≥ "}[row.sense]
    texts = [sign + shown(reach) if shown(reach) else "",
             sign + shown(aim) if shown(aim) else ""]
    if not counted or len(counted) * 2 <= len(runs) + len(problems):
        why = problems[-1] if problems else "rowtail fell behind the writer"
        if why.startswith("not run"):
            return "-", *texts, why
        return "-", *texts, f"MISS ({why})" if row.reach is not None else "-"
    value = statistics.median(row.value(run) for run in counted)

    def is_within(limit):
        return value <= limit if row.sense == "<=" else value >= limit

    verdict = "" if reach is None else "MISS"
    if reach is not None and is_within(reach):
        verdict = "OK, aim" if aim is not None and is_within(aim) else "OK"
    if verdict and len(counted) < len(runs) + len(problems):
        verdict += f" ({len(counted)} of {len(runs) + len(problems)} runs counted)"
    return row.show(value), *texts, verdict


def machine_lines(rowtail):
    def output(*command):
        try:
            return subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            ).stdout.decode().strip()
        except OSError:
            return "?"

    model = "?"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    yield f"{output(str(rowtail), '--version')}; SQLite {output('sqlite3', '--version')[:7]}"
    yield (f"{os.cpu_count()} × {model}, Linux {platform.release()}, "
           f"load at the start {load:.2f}")
    if load > 0.3:
        yield "The machine was not idle: these figures are disturbed."


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    names = sorted({row.name for row in all_rows()})
    parser.add_argument("--rowtail", default="build/rowtail")
    parser.add_argument("--tools", default="build/release/bench",
                        help="folder of writer, latency and count_lines")
    parser.add_argument("--folder", default="build/bench", help="for the databases")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME",
                        help="rows of this name, may be repeated: " + ", ".join(names))
    parser.add_argument("--quick", action="store_true",
                        help="one short run each, to see that it works")
    parser.add_argument("--seconds", type=int, help="of a live run (default 60)")
    parser.add_argument("--large-mb", type=int, help="large database (default 2048)")
    parser.add_argument("--keep", action="store_true", help="keep the databases")
    return parser.parse_args()


def print_table(rows, results):
    print("\n| what | reach | aim | here | verdict |")
    print("|---|---|---|---|---|")
    missed = 0
    for row in rows:
        runs, problems = results[row.source]
        value, reach, aim, verdict = judge(row, runs, problems)
        missed += verdict.startswith("MISS")
        print(f"| {row.what} | {reach} | {aim} | {value} | {verdict} |")
    return missed


def print_live_runs(results):
    """Lag and WAL of the runs that followed live: what makes them count."""
    print("\n| live runs | counted | lag at the end, worst | WAL peak, worst |")
    print("|---|---|---|---|")
    for source, (runs, _) in results.items():
        if runs and "lag_s" in runs[0]:
            counted = sum(is_counted(run) for run in runs)
            lag = max(run["lag_s"] for run in runs)
            peak = max((run.get("wal_peak", 0) for run in runs), default=0)
            print(f"| {source} | {counted} of {len(runs)} | {lag:.3f} s "
                  f"| {megabytes(peak) if peak else '-'} |")


def main():
    options = parse_arguments()
    plan = QUICK if options.quick else FULL
    if options.seconds:
        plan = plan._replace(live_s=options.seconds)
    if options.large_mb:
        plan = plan._replace(large_mb=options.large_mb)
    count = 1 if options.quick else options.runs
    rows = [r for r in all_rows() if not options.only or r.name in options.only]
    folder = pathlib.Path(options.folder) / ("quick" if options.quick else "full")
    figures = Figures(pathlib.Path(options.rowtail).resolve(),
                      pathlib.Path(options.tools).resolve(), folder.resolve(), plan)
    header = list(machine_lines(figures.rowtail))
    began = time.monotonic()
    figures.prepare()
    sources = list(dict.fromkeys(row.source for row in rows))
    if {"size", "start", "state-copy", "state-catch-up", "state-resume kept",
            "state-resume deleted", "archive-sql", "archive-restore", "archive-diff",
            "archive-files", "archive-events", "archive-far"} & set(sources):
        figures.prepare_large()
    figures.state = StateFigures(figures)
    figures.asked = SnapshotFigures(figures)
    figures.watch = WatchFigures(figures)
    figures.kafka = KafkaFigures(figures)
    figures.archive = ArchiveFigures(figures)
    figures.audit = AuditFigures(figures)
    try:
        results = {source: make_runs(figures, source, count) for source in sources}
    finally:
        figures.kafka.close()
    print()
    for line in header:
        print(line)
    print(f"Medians of {count} runs, {time.strftime('%Y-%m-%d')}, "
          f"{(time.monotonic() - began) / 60:.0f} minutes.")
    if plan != FULL or count < 5:
        print("Shortened runs: not the figures of the table.")
    if any(source.startswith("kafka-") for source in sources):
        print("\n".join(figures.kafka.settings()))
    missed = print_table(rows, results)
    print_live_runs(results)
    if not options.keep:
        shutil.rmtree(folder)
    print(f"\n{missed} missed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

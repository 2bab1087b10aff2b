"""/health of a run into Kafka: what gives no messages is not waited for."""

import time

from harness.box import expect
from cli.metrics import ANY, Watcher
from kafka.scene import Scene

TABLES = ["CREATE TABLE t(id INTEGER PRIMARY KEY, a)", "CREATE TABLE out(a)"]


def watched(box, *args):
    scene = Scene(box, *TABLES)
    run = scene.start("-D", ANY, "-D", "health.max.lag=2s", *args)
    watcher = Watcher(box, run)
    watcher.wait_well()
    return scene, run, watcher


def stays_well(watcher):
    end = time.monotonic() + 4
    while time.monotonic() < end:
        expect(watcher.health() == "", "%s", watcher.health())
        time.sleep(0.1)


def test_transactions_without_messages_are_not_waited_for(box):
    """They come while Kafka's position rests, and nothing comes behind them."""
    scene, run, watcher = watched(box, "-D", "table.exclude.list=out")
    for i in range(3):
        scene.sql("INSERT INTO t VALUES (%d, 1)" % i)
        scene.wait_events(i + 1)
        scene.sql("INSERT INTO out VALUES (%d)" % i)
    stays_well(watcher)
    scene.stop(run)


def test_a_snapshot_without_rows_is_well(box):
    scene, run, watcher = watched(box)
    stays_well(watcher)
    scene.stop(run)


def test_at_least_once_is_well_when_all_has_arrived(box):
    scene, run, watcher = watched(box, "-D", "exactly.once.support=disabled")
    scene.sql("INSERT INTO t VALUES (1, 1)")
    scene.wait_events(1)
    stays_well(watcher)
    expect(watcher.metrics()["rowtail_lag_seconds", ()] == 0, "%s", watcher.metrics())
    scene.stop(run)

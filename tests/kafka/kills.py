"""kill -9 of rowtail and of the broker at random moments, while a writer goes on and
snapshots are asked for.

A read_committed consumer counts, by change_id: nothing lost, nothing repeated. The
number of kills is that of the environment variable KILLS, by default 24.
"""

import os
import random
import subprocess
import threading
import time

from harness.box import Failed, expect
from kafka.scene import Scene, own_broker

KILLS = int(os.environ.get("KILLS", "24"))
TABLES = ["CREATE TABLE a(id INTEGER PRIMARY KEY, n INTEGER, s TEXT)",
          "CREATE TABLE b(k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID",
          "CREATE TABLE c(x, y)"]


class Load:
    """A writer that goes on until it is told to stop."""

    def __init__(self, scene, seed, pause=0.004):
        self.scene = scene
        self.random = random.Random(seed)
        self.pause = pause
        self.done = threading.Event()
        self.commits = 0
        self.problem = None
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _statements(self):
        pick = self.random.randrange
        kind = pick(12)
        if kind == 0:
            return ["INSERT INTO a(n, s) WITH RECURSIVE i(v) AS (SELECT 1 UNION ALL"
                    " SELECT v + 1 FROM i WHERE v < %d) SELECT v, 'bulk' FROM i"
                    % (200 + pick(400))]
        if kind == 1:
            return ["DELETE FROM a WHERE id %% 7 = %d" % pick(7)]
        if kind == 2:
            return ["UPDATE OR IGNORE b SET k = k || 'x' WHERE n %% 5 = %d" % pick(5)]
        if kind == 3:
            return ["DELETE FROM c WHERE y = %d" % pick(4)]
        return ["INSERT INTO a(n, s) VALUES (%d, 'text')" % pick(1000),
                "INSERT OR REPLACE INTO b VALUES ('k%d', %d)" % (pick(50), pick(1000)),
                "INSERT INTO c VALUES (%d, %d)" % (pick(100), pick(4)),
                "UPDATE a SET n = n + 1 WHERE id = %d" % pick(2000)]

    def _write(self):
        try:
            while not self.done.wait(self.pause):
                self.scene.sql("BEGIN", *self._statements(), "COMMIT")
                self.commits += 1
        except Exception as problem:        # told by stop()
            self.problem = problem

    def stop(self):
        self.done.set()
        self.thread.join(30)
        if self.problem:
            raise Failed("the writer failed: %s" % self.problem)


def ask_for_snapshot(box, scene, chance):
    """Whether rowtail is there to take it or not."""
    tables = chance.sample(["a", "b", "c", "[ab]"], chance.randint(1, 2))
    kind = chance.choice(["incremental", "incremental", "blocking"])
    asked = subprocess.Popen(
        [box.options.rowtail, "signal", "--state", scene.state, "execute-snapshot",
         "--type", kind] + [part for t in tables for part in ("--table", t)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    box.opened.append(Asking(asked))


class Asking:
    def __init__(self, process):
        self.process = process

    def close(self):
        self.process.kill()
        self.process.wait()


def kill_and_go_on(box, scene, broker, seed, kills, broker_share):
    """Returns what was counted, as text."""
    chance = random.Random(seed)
    load = Load(scene, seed)
    run = scene.start()
    killed = {"rowtail": 0, "broker": 0}
    try:
        for _ in range(kills):
            if chance.random() < 0.6:
                ask_for_snapshot(box, scene, chance)
            time.sleep(chance.choice([0.05, 0.3, 0.6, 1.2]) * chance.random())
            if chance.random() < broker_share:
                broker.kill()
                killed["broker"] += 1
                if chance.random() < 0.5:       # both at once
                    run.kill()
                broker.start()
                if run.process.poll() is not None:
                    run = scene.start()
            else:
                run.kill()
                killed["rowtail"] += 1
                run = scene.start(wait=chance.random() < 0.7)
    finally:
        load.stop()
    time.sleep(0.5)
    scene.stop(run)
    scene.once()
    messages = scene.check()
    events = sum(m.is_event for m in messages)
    rows = sum(m.is_row for m in messages)
    seen = len(scene.records(committed=False))
    expect(events > 30 * kills, "%d events only", events)
    expect(rows > 100, "%d rows of snapshots only", rows)
    return ("%d kills of rowtail, %d of the broker, %d commits: %d events, %d of them"
            " rows of snapshots, lost 0, repeated 0; %d messages of aborted"
            " transactions" % (
                killed["rowtail"], killed["broker"], load.commits, events, rows,
                seen - len(scene.records())))


def test_kills_of_rowtail(box):
    """The broker goes on."""
    scene = Scene(box, *TABLES, args=["-D", "topic.creation.default.partitions=3"])
    return 1, kill_and_go_on(box, scene, None, 1, KILLS, 0)


def test_kills_of_rowtail_and_the_broker(box):
    broker = own_broker(box).start()
    scene = Scene(box, *TABLES, broker=broker,
                  args=["-D", "topic.creation.default.partitions=3"])
    return 1, kill_and_go_on(box, scene, broker, 2, KILLS, 0.4)


test_kills_of_rowtail.timeout = 60 + KILLS * 8
test_kills_of_rowtail_and_the_broker.timeout = 90 + KILLS * 15

"""rowtail events of an archive into Kafka: files come, and rowtail is killed and goes on;
a read_committed consumer finds each event once, in order."""

import random
import signal
import subprocess
import time

from archive.events import events, images, made, put, told
from harness.box import expect
from kafka.scene import Scene


def test_events_of_an_archive_come_once(box):
    scene = Scene(box)
    states = images(box)
    whole, _ = made(box, "whole/archive")
    archive = box.path("archive")
    put(archive, 9, 1, 1, states)
    command = box.command("events", archive, "--to", "kafka://" + scene.broker.address,
                          "--state", scene.state, "-D", "topic.prefix=" + scene.prefix)
    rng = random.Random(3)
    killed = 0
    at = 1
    while at < len(states):
        process = subprocess.Popen(command + ["--follow"], stderr=subprocess.PIPE)
        for _ in range(rng.randrange(2, 8)):
            time.sleep(rng.random() * 0.1)
            if at < len(states):
                at += 1
                put(archive, 0, at, at, states)
        time.sleep(rng.random() * 3)
        process.send_signal(signal.SIGKILL)
        code = process.wait()
        expect(code == -signal.SIGKILL, "it ended (%s): %s", code, process.stderr.read())
        killed += 1
    done = box.run(*command[1:], timeout=90)
    expect(done.code == 0, "%s", done)
    mine = [m.value for m in scene.messages() if m.is_event]
    right = events(box, whole, "--snapshot", "-D", "topic.prefix=" + scene.prefix)
    for a, b in zip(mine, right):
        expect(told(a) == told(b), "%s, in one run %s", a, b)
    expect(len(mine) == len(right), "%d events, in one run %d", len(mine), len(right))
    expect(killed > 3, "only %d kills", killed)
    return len(mine), "%d kills, %d events, lost 0, repeated 0" % (killed, len(mine))


test_events_of_an_archive_come_once.timeout = 300

"""What docs/archive.md says can be done with an archive, as it stands there."""

import json
import os
import re
import subprocess
import time

from archive.events import images, put
from cli.kafka_mock import MockBroker
from harness import ltx
from harness.box import expect
from kafka import librdkafka
from kafka.scene import in_order

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "archive.md")
DAY_S = 86400
STATEMENTS = [
    "CREATE TABLE accounts(id INTEGER PRIMARY KEY, v); INSERT INTO accounts VALUES(1, 'a')",
    "INSERT INTO accounts VALUES(5, 'b')", "INSERT INTO accounts VALUES(6, 'c')",
    "UPDATE accounts SET v = 'd' WHERE id = 5"]


def recipe(comment):
    """The command under this comment, with its lines."""
    with open(PAGE, encoding="utf-8") as file:
        found = re.search(r"^    # %s\n((?:    .+\n)+)" % re.escape(comment), file.read(),
                          re.MULTILINE)
    expect(found, "docs/archive.md has no '%s'", comment)
    return found.group(1)


def replica(box):
    """In the folder that the commands run in; its first two states are two days old."""
    states = images(box, STATEMENTS)
    archive = box.path("REPLICA")
    for n in range(1, len(states) + 1):
        put(archive, 9 if n == 1 else 0, n, n, states)
        age_s = 2 * DAY_S if n <= 2 else 60
        at = time.time() - age_s
        os.utime(ltx.path_of(archive, 9 if n == 1 else 0, n, n), (at, at))


def environment(box):
    """`rowtail` is this one."""
    os.makedirs(box.path("bin"), exist_ok=True)
    os.symlink(os.path.abspath(box.options.rowtail), box.path("bin/rowtail"))
    return dict(os.environ, PATH=box.path("bin") + ":" + os.environ["PATH"])


def lines(box, comment):
    box.need_tool("jq")
    box.need("valgrind is not in the recipes" if box.options.wrapper else "")
    replica(box)
    done = subprocess.run(["sh", "-c", recipe(comment)], cwd=box.folder,
                          env=environment(box), stdout=subprocess.PIPE, timeout=60,
                          check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_who_changed_a_row_and_when(box):
    found = lines(box, "who changed row 5 of the table accounts, and when?")
    expect([(e["op"], e["before"], e["after"]) for e in found] == [
        ("c", None, {"id": 5, "v": "b"}),
        ("u", {"id": 5, "v": "b"}, {"id": 5, "v": "d"})], "%s", found)
    for event in found:
        expect(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", event["when"]),
               "%s", event)


def test_what_is_different_from_yesterday(box):
    found = lines(box, "what is different from yesterday?")
    expect(found == [["u", "accounts", {"id": 5, "v": "b"}, {"id": 5, "v": "d"}],
                     ["c", "accounts", None, {"id": 6, "v": "c"}]], "%s", found)


def test_into_kafka_from_a_machine_that_has_never_seen_the_database(box):
    broker = MockBroker(box)
    box.need("valgrind is not in the recipes" if box.options.wrapper else "")
    replica(box)
    command = recipe("into Kafka, exactly once, also after kill -9, from a machine that"
                     " has never seen the database").strip()
    expect("localhost:9092" in command, "%s", command)
    # The mock broker cannot be asked to make topics.
    command = (command.replace("localhost:9092", broker.address)
               + " -D topic.creation.enable=false -D include.schema.changes=false")
    process = subprocess.Popen(["sh", "-c", "exec " + command], cwd=box.folder,
                               env=environment(box), stderr=subprocess.PIPE)

    def rows():
        read = librdkafka.read_all(broker.address, ["shop.accounts"])
        return [(m.op, (m.after or m.before)["id"]) for m in in_order(read)
                if m.is_event]
    try:
        box.wait_until(lambda: rows() == [("r", 1), ("c", 5), ("c", 6), ("u", 5)], 30,
                       "not all events came")
    finally:
        process.terminate()
        _, err = process.communicate(timeout=30 * box.slow)
    expect(process.returncode == 0, "exit %d: %s", process.returncode, err)

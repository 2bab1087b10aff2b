"""A disk whose syncs take long: what others wait for does not wait for the disk."""

from harness.box import expect
from harness.events import parse_line
from harness.model import Model
from harness.state import StateReader

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def slow_down(box, ms):
    """The environment of a program whose syncs take so much longer."""
    return box.preloading("slow_sync", SLOW_SYNC_US=str(ms * 1000))


ROWS = ("INSERT INTO t(a) SELECT randomblob(3000) FROM (WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n)")


def write_beside(box, ms, state, commits=250, rows=60):
    """Commits without a busy timeout beside a rowtail on a slow disk; its errors."""
    writer, path = box.database(TABLE)
    writer.sql("c", "PRAGMA busy_timeout=0", "PRAGMA synchronous=NORMAL")
    arguments = [path]
    if state:
        arguments += ["--state", box.path("state"), "-D", "snapshot.mode=no_data"]
    reader = StateReader(path)
    reader.open()
    model = Model(reader.read())
    tail = box.tail(*arguments, env=slow_down(box, ms), wait=False)
    tail.wait_following(60)
    steps = []
    for _ in range(commits):
        steps += [("x", ROWS % rows), ("sleep", 0.0005)]
    problems = [r for r in writer.run("c", steps) if isinstance(r, str)]
    expect(not [p for p in problems if "protocol" in p.lower()],
           "SQLITE_PROTOCOL: %s", problems[:2])
    wanted = (commits - len(problems)) * rows
    expect(tail.wait_lines(wanted, 120), "%d events of %d", tail.available(), wanted)
    for line in tail.take_all():
        model.apply_line(line)
    model.compare(reader.read())
    reader.close()
    return writer, path, tail, problems


def nobody_is_busy(box, state):
    _, _, tail, problems = write_beside(box, 300, state)
    expect(not problems, "%d errors: %s", len(problems), problems[:2])
    box.stop(tail)


def test_a_slow_disk_makes_nobody_busy(box):
    nobody_is_busy(box, state=False)


def test_a_slow_disk_makes_nobody_busy_with_a_state_directory(box):
    nobody_is_busy(box, state=True)


test_a_slow_disk_makes_nobody_busy.timeout = 240
test_a_slow_disk_makes_nobody_busy_with_a_state_directory.timeout = 240


def test_what_a_slow_journal_did_not_sync_outlives_a_kill(box):
    """The WAL may be restarted before the journal is synced; a kill loses nothing."""
    writer, path, tail, _ = write_beside(box, 120, True, 4000, rows=1)
    writer.run("c", [("x", "INSERT INTO t(a) VALUES ('last')")] * 50)
    tail.kill()
    result = box.run(path, "--state", box.path("state"), "--once", timeout=60)
    expect(result.code == 0, "%s", result)
    last = [parse_line(line) for line in result.out.splitlines(True)]
    last += [parse_line(line) for line in tail.take_all()]
    ids = {event["after"]["id"] for event in last}
    expect(ids == set(range(4001, 4051)), "%d of 50 events: %s", len(ids), sorted(ids))


test_what_a_slow_journal_did_not_sync_outlives_a_kill.timeout = 240

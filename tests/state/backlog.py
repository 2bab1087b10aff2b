"""A sink that cannot keep up: what waits is merged, past journal.max.bytes."""

import os
import random
import subprocess
import time

from harness.box import NotRun, expect
from state.consumer import Session, summary
from state.file_sink import Output

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
LIMIT = 2 << 20


def disk_bytes(session):
    """What the state directory takes, without the copy of the database."""
    total = 0
    for entry in os.scandir(session.directory):
        if entry.name == "frames" or entry.name.startswith("log"):
            try:
                total += entry.stat().st_blocks * 512
            except FileNotFoundError:
                pass                    # it was merged just now
    return total


def rows():
    return ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
            " FROM n WHERE i < 2000) SELECT i, hex(zeroblob(100)) FROM n")


def begun(box, *statements):
    """A session in which the rows that are there were told, and a fast writer."""
    writer, path = box.database(TABLE, rows(), *statements)
    session = Session(box, path)
    expect(len(session.once()) == 2000, "no snapshot")
    writer.sql("c", "PRAGMA synchronous=OFF")
    return writer, session


def limited(session, **more):
    return session.start("-D", "journal.max.bytes=%d" % LIMIT, **more)


def write(session, writer, rng, wal_bytes):
    """Single commits over all of the table until the WAL has had so many bytes; the
    largest size that the directory had."""
    done, most = 0, 0
    while done < wal_bytes:
        ids = [rng.randrange(1, 2001) for _ in range(100)]
        writer.run("c", [("x", "UPDATE t SET a = a || '%d' WHERE id = %d" % (i % 10, i))
                         for i in ids[:96]]
                   + [("x", "DELETE FROM t WHERE id = %d" % i) for i in ids[96:98]]
                   + [("x", "INSERT OR REPLACE INTO t VALUES (%d, 'again %d')" % (i, i))
                      for i in ids[98:]])
        done += 100 * 4120
        most = max(most, disk_bytes(session))
    return most


def merged_of(events):
    return [e for e in events if e.merged]


def test_fifty_times_the_limit(box):
    """A reader of stdout that stands still for all of it, over kills."""
    writer, session = begun(box)
    rng = random.Random(1)
    most = 0
    for _ in range(5):
        run = limited(session, take=False)
        most = max(most, write(session, writer, rng, 10 * LIMIT))
        run.kill()
    # The limit, as much again that waits at the start of a run, what is allocated
    # ahead, and what is read from the WAL at once (64 MiB at most): of 100 MiB and more.
    expect(most < 2 * LIMIT + (72 << 20), "it took %d bytes", most)
    writer.sql("c", "INSERT INTO t VALUES (3001, 'the last')")
    run = limited(session)
    run.wait(1)
    events = run.pull()
    deadline = time.monotonic() + 20
    while ("c", 3001) not in summary(events[-1:]):
        expect(time.monotonic() < deadline, "the last one does not come")
        time.sleep(0.1)
        events = run.pull()
    run.stop()
    session.matches()
    events = session.stream.events[2000:]
    count = sum({e.lsn: e.merged for e in merged_of(events)}.values())
    expect(count > 5000, "%d transactions of 25000 were merged", count)
    expect(not events[-1].merged, "a commit that nobody waited for was merged")
    expect(not session.once(), "something comes after the end")


def test_a_reader_that_takes_a_little(box):
    """Kills while part of a batch is written, and merging begins with the next start:
    every message that the reader has had comes again as it was."""
    writer, session = begun(box)
    rng = random.Random(2)
    for number in range(6):
        run = limited(session, take=False)
        write(session, writer, rng, 2 * LIMIT)
        run.read(40 + 30 * number)
        run.kill()
    session.once("-D", "journal.max.bytes=%d" % LIMIT)
    session.matches()
    expect(merged_of(session.stream.events), "nothing was merged")


def test_merging_keeps_what_a_schema_change_and_vacuum_did(box):
    """DDL, cut-off pages and renumbered rows within one net effect."""
    writer, session = begun(box, "CREATE TABLE k(a, b)")
    rng = random.Random(3)
    run = limited(session, take=False)
    write(session, writer, rng, 2 * LIMIT)
    writer.sql("c", "ALTER TABLE t ADD COLUMN b DEFAULT 7",
               "INSERT INTO k SELECT id, a FROM t WHERE id <= 500",
               "CREATE TABLE gone AS SELECT * FROM t")
    write(session, writer, rng, LIMIT)
    writer.sql("c", "DELETE FROM t WHERE id > 300", "DROP TABLE gone", "VACUUM",
               "DELETE FROM k WHERE a % 2 = 0", "VACUUM")
    write(session, writer, rng, 2 * LIMIT)
    writer.sql("c", "ALTER TABLE t RENAME COLUMN a TO text")
    run.kill()
    run = limited(session, take=False)
    write_more = [("x", "UPDATE t SET text = 'n %d' WHERE id = %d" % (i, i % 300 + 1))
                  for i in range(3000)]
    writer.run("c", write_more)
    run.kill()
    session.once("-D", "journal.max.bytes=%d" % LIMIT)
    session.matches()
    expect(merged_of(session.stream.events), "nothing was merged")


def test_a_file_on_a_full_disk(box):
    """The sink is a file that cannot grow: what waits is merged, over a kill, and the
    file has each message once when there is room again."""
    if os.getuid() != 0:
        raise NotRun("only root can mount a tmpfs")
    folder = box.path("small")
    os.mkdir(folder)
    if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", folder],
                       stderr=subprocess.DEVNULL) != 0:
        raise NotRun("a tmpfs cannot be mounted here")
    try:
        bear_backlog(box, folder)
    finally:
        subprocess.call(["umount", folder])


def bear_backlog(box, folder):
    writer, path = box.database(TABLE, rows())
    output = Output(box, path, "--state", box.path("state"), "-D",
                    "journal.max.bytes=%d" % LIMIT, out=os.path.join(folder, "out"))
    output.once()
    session = Session(box, path)
    rng = random.Random(4)
    for _ in range(2):
        tail = output.start()
        write(session, writer, rng, 10 * LIMIT)
        tail.kill()
    subprocess.check_call(["mount", "-o", "remount,size=200m", folder])
    output.once()
    events = output.matches()
    expect(merged_of(events), "nothing was merged")

"""rowtail and the real Litestream follow one database at the same time."""

import random

from harness.box import expect
from harness.litestream import Litestream
from harness.model import Model
from harness.state import read_state
from harness.pages import content


def change(random_, number):
    kind = random_.random()
    if kind < 0.5:
        return "INSERT INTO t(v) VALUES(hex(randomblob(%d)))" % random_.choice((10, 300, 9000))
    if kind < 0.8:
        return "UPDATE t SET v = 'x%d' WHERE id %% 13 = %d" % (number, random_.randrange(13))
    if kind < 0.95:
        return "DELETE FROM t WHERE id %% 29 = %d" % random_.randrange(29)
    return "PRAGMA incremental_vacuum(3)"


def test_both_are_right_beside_each_other(box):
    seed = random.randrange(1 << 32)
    random_ = random.Random(seed)
    writer, path = box.database("PRAGMA auto_vacuum=2",
                                "CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    archive = box.path("archive")
    litestream = Litestream(box, path, archive)
    litestream.sync()
    tail = box.tail(path)
    model = Model(read_state(path))
    for number in range(1500):
        answers = writer.run("c", [("x", change(random_, number))])
        problems = [a for a in answers if isinstance(a, str)]
        expect(not problems, "seed %d, change %d: %s", seed, number, problems)
        if number % 300 == 299:
            litestream.sync()
    writer.sql("c", "INSERT INTO t(v) VALUES('the last one')")
    litestream.sync()
    box.wait_until(lambda: any(b"the last one" in line for line in list(tail.lines)), 20,
                   "seed %d: the last event" % seed)
    tail.wait_quiet(0.5)
    for line in tail.take_all():
        model.apply_line(line)
    model.compare(read_state(path))
    box.stop(tail)
    litestream.stop()
    theirs, ours = box.path("theirs.db"), box.path("ours.db")
    expect(litestream.restore(theirs), "seed %d: Litestream restores nothing", seed)
    done = box.run("restore", archive, ours, timeout=60)
    expect(done.code == 0, "seed %d: restore: %s", seed, done)
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    expect(content(theirs) == content(path), "seed %d: Litestream has missed something",
           seed)
    expect(content(ours) == content(path), "seed %d: restored is another database", seed)

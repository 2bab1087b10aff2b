"""Archives that the real Litestream writes beside changes: every state that it restores is
restored byte for byte, and the newest is the database."""

import glob
import os
import shutil

from harness.archive import listed
from harness.box import expect
from harness.litestream import Litestream, verify
from harness.pages import content


def work(page_size):
    """Growth, overflow, deletes, a VACUUM that shrinks, growth again, schema changes."""
    many = 20000 // page_size * 40 + 60
    wide = min(page_size * 3, 30000)
    insert = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d)"
              " INSERT INTO %s(v) SELECT hex(randomblob(%d)) FROM n")
    yield "CREATE TABLE t(id INTEGER PRIMARY KEY, v)"
    yield insert % (many, "t", 40)
    yield "UPDATE t SET v = 'x' || id WHERE id % 7 = 0"
    yield insert % (12, "t", wide)
    yield "CREATE INDEX t_v ON t(substr(v, 1, 20))"
    yield "DELETE FROM t WHERE id % 3 > 0"
    yield "PRAGMA incremental_vacuum(20)"
    yield "VACUUM"
    yield "DELETE FROM t WHERE id > 9"
    yield "VACUUM"
    yield insert % (many * 2, "t", 40)
    yield "CREATE TABLE u(id INTEGER PRIMARY KEY, v); ALTER TABLE t ADD COLUMN w"
    yield insert % (many, "u", 10)
    yield "DROP TABLE t"
    yield insert % (5, "u", wide)


def check_states(box, litestream, archive, expected=0):
    """Of all ends of files each is restored by both, or by none."""
    listing = listed(box, archive)
    ends = sorted({file["max_txid"] for file in listing["files"]})
    theirs, ours = box.path("theirs.db"), box.path("ours.db")
    count = 0
    for txid in ends:
        for path in (theirs, ours):
            if os.path.exists(path):
                os.remove(path)
        there = litestream.restore(theirs, "-txid", txid)
        done = box.run("restore", archive, ours, "--at", "txid:" + txid, timeout=60)
        expect(there == (done.code == 0), "txid %s: Litestream %s, but %s", txid,
               "restores it" if there else "refuses it", done)
        if there:
            expect(content(theirs) == content(ours), "txid %s: another database", txid)
            count += 1
    expect(count >= expected, "only %d states of %d", count, len(ends))
    os.remove(ours)
    return count


def replicate(box, page_size, auto_vacuum, **intervals):
    writer, path = box.database("PRAGMA page_size=%d" % page_size,
                                "PRAGMA auto_vacuum=%d" % auto_vacuum)
    archive = box.path("archive")
    litestream = Litestream(box, path, archive, **intervals)
    for statements in work(page_size):
        writer.sql("c", *statements.split("; "))
        litestream.sync()
    return writer, path, archive, litestream


def check_latest(box, writer, path, archive):
    """The newest state is the database after a complete checkpoint."""
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    out = box.path("latest.db")
    done = box.run("restore", archive, out, timeout=60)
    expect(done.code == 0, "restore: %s", done)
    expect(content(out) == content(path), "the newest state is not the database")
    done = box.run("archive", "verify", archive, timeout=60)
    expect(done.code == 0 and done.out.startswith(b"verified "), "verify: %s", done)
    os.remove(out)


def check_page_size(box, page_size, auto_vacuum):
    writer, path, archive, litestream = replicate(box, page_size, auto_vacuum)
    litestream.stop()
    count = check_states(box, litestream, archive, 10)
    check_latest(box, writer, path, archive)
    return count, None


def test_every_state_with_pages_of_512_bytes(box):
    return check_page_size(box, 512, 1)


def test_every_state_with_pages_of_4096_bytes(box):
    return check_page_size(box, 4096, 0)


def test_every_state_with_pages_of_65536_bytes(box):
    return check_page_size(box, 65536, 2)


def test_states_of_compacted_levels_and_of_snapshots(box):
    """Once level 0 is gone, what is left leads to what Litestream can reach, too."""
    writer, path, archive, litestream = replicate(
        box, 4096, 2, first="1s", second="3s", snapshot="4s")
    for n in range(10):
        writer.sql("c", "INSERT INTO u(v) VALUES('late %d')" % n)
        litestream.sync()
    box.wait_until(lambda: {0, 1, 2, 9} <= {f["level"] for f in
                                            listed(box, archive)["files"]},
                   60, "not all levels are there")
    litestream.stop()
    count = check_states(box, litestream, archive, 3)
    check_latest(box, writer, path, archive)
    shutil.rmtree(os.path.join(archive, "ltx", "0"))
    count += check_states(box, litestream, archive, 1)
    for name in os.listdir(os.path.join(archive, "ltx", "9")):
        if not name.endswith(max(os.listdir(os.path.join(archive, "ltx", "9")))):
            os.remove(os.path.join(archive, "ltx", "9", name))
    count += check_states(box, litestream, archive, 1)
    return count, None


def compact(box, archive, *settings):
    done = box.run("archive", "compact", archive, "-D",
                   "archive.compaction.levels=1s,2s", *settings, timeout=60)
    expect(done.code == 0, "archive compact: %s", done)
    made = [line.split()[1] for line in done.out.decode().splitlines()[:-1]]
    verify([os.path.join(archive, "ltx", name) for name in made])
    return made


def spread(archive):
    """As if twenty seconds had passed between any two files, however fast it was."""
    folder = os.path.join(archive, "ltx", "0")
    files = sorted(os.listdir(folder))
    for number, name in enumerate(files):
        at = os.path.getmtime(os.path.join(folder, name)) - 20 * (len(files) - number)
        os.utime(os.path.join(folder, name), (at, at))


def check_compaction(box, page_size, auto_vacuum):
    """What rowtail merges leads Litestream to the same states, level by level."""
    writer, path, archive, litestream = replicate(box, page_size, auto_vacuum)
    litestream.stop()
    for name in os.listdir(os.path.join(archive, "ltx")):
        if name not in "09":
            shutil.rmtree(os.path.join(archive, "ltx", name))
    spread(archive)
    # A snapshot of theirs may be of the last state: there is none to be made then.
    for path_of in glob.glob(os.path.join(glob.escape(archive), "ltx", "9", "*")):
        if not path_of.endswith("-%016x.ltx" % 1):
            os.remove(path_of)
    before = {}
    litestream_states(box, litestream, archive, before)
    made = compact(box, archive, "-D", "archive.snapshot.interval=1s")
    expect({name[0] for name in made} >= {"1", "9"}, "made: %s", made)
    count = check_states(box, litestream, archive, 10)
    after = {}
    litestream_states(box, litestream, archive, after)
    expect(after == before, "other states with all levels")
    last = max(os.listdir(os.path.join(archive, "ltx", "1")))[17:]
    for name in os.listdir(os.path.join(archive, "ltx", "0")):
        if not name.startswith("%016x-" % 1) and name[17:] <= last:
            os.remove(os.path.join(archive, "ltx", "0", name))
    after = {}
    litestream_states(box, litestream, archive, after)
    expect(len(after) > 2 and all(after[t] == before[t] for t in after),
           "other states without level 0")
    check_latest(box, writer, path, archive)
    return count + len(after), None


def litestream_states(box, litestream, archive, states):
    """{TXID: content} of all that Litestream restores."""
    out = box.path("theirs.db")
    for txid in {file["max_txid"] for file in listed(box, archive)["files"]}:
        if os.path.exists(out):
            os.remove(out)
        if litestream.restore(out, "-txid", txid):
            states[txid] = content(out)


def test_what_is_merged_with_pages_of_512_bytes(box):
    return check_compaction(box, 512, 2)


def test_what_is_merged_with_pages_of_4096_bytes(box):
    return check_compaction(box, 4096, 1)


def test_what_is_merged_with_pages_of_65536_bytes(box):
    return check_compaction(box, 65536, 0)


def test_times_lead_to_the_newest_state_before_them(box):
    writer, path, archive, litestream = replicate(box, 4096, 0)
    litestream.stop()
    files = [f for f in listed(box, archive)["files"] if f["level"] == 0]
    by_txid, by_time = box.path("txid.db"), box.path("time.db")
    for file in files[1::4]:
        newest = max(f["max_txid"] for f in files if f["time"] <= file["time"])
        for out, at in ((by_txid, "txid:" + newest), (by_time, file["time"])):
            done = box.run("restore", archive, out, "--at", at, timeout=60)
            expect(done.code == 0, "--at %s: %s", at, done)
        expect(content(by_txid) == content(by_time), "another state at %s", file["time"])
        os.remove(by_txid)
        os.remove(by_time)


def test_the_database_replaced_while_litestream_was_away(box):
    """Litestream goes on with an increment that has all pages."""
    writer, path, archive, litestream = replicate(box, 4096, 0)
    litestream.stop()
    writer.close()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.remove(path + suffix)
    writer, path = box.database("CREATE TABLE other(x)")
    litestream.start()
    for n in range(3):
        writer.sql("c", "INSERT INTO other VALUES(randomblob(5000))")
        litestream.sync()
    litestream.stop()
    count = check_states(box, litestream, archive, 12)
    check_latest(box, writer, path, archive)
    return count, None


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 1500

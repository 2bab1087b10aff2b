"""rowtail --archive: what it writes is restored byte for byte, by rowtail and by
Litestream, whatever happened to it meanwhile."""

import json
import os
import random
import shutil
import time

from harness import litestream
from harness.archive import listed
from harness.box import NotRun, expect
from harness.pages import image
from harness.small_disk import SmallDisk


def ends(box, archive):
    """The LSNs of the states that the archive has."""
    return {int(f["max_txid"], 16) - 1 for f in listed(box, archive)["files"]}


def restored(box, archive, lsn=None):
    out = box.path("restored.db")
    at = ["--at", "lsn:%d" % lsn] if lsn is not None else []
    done = box.run("restore", archive, out, *at, timeout=60)
    expect(done.code == 0, "restore %s: %s", at, done)
    with open(out, "rb") as file:
        data = file.read()
    os.remove(out)
    return data


def verified(box, archive):
    done = box.run("archive", "verify", archive, timeout=60)
    expect(done.code == 0, "archive verify: %s", done)


def judge(box, archive, kept):
    """Each of the states that are kept, by LSN, is restored; by Litestream, too, if it is
    built."""
    found = ends(box, archive)
    expect(set(kept) & found, "none of %s in %s", sorted(kept), sorted(found))
    for lsn in sorted(set(kept) & found):
        expect(restored(box, archive, lsn) == kept[lsn], "another database at %d", lsn)
    verified(box, archive)
    try:
        program = litestream.find()
    except NotRun:
        return len(found)
    theirs = litestream.Program(box, program, "file://" + archive)
    for lsn in sorted(set(kept) & found):
        out = box.path("theirs.db")
        expect(theirs.restore(out, "-txid", "%016x" % (lsn + 1)), "Litestream refuses %d",
               lsn)
        with open(out, "rb") as file:
            expect(file.read() == kept[lsn], "Litestream has another one at %d", lsn)
        os.remove(out)
    return len(found)


class Work:
    """Random transactions: growth, overflow, deletes, VACUUMs, schema changes. Each of
    them adds a row to `marks`, whose event tells its LSN."""

    def __init__(self, box, seed, page_size=4096, auto_vacuum=0):
        self.box = box
        self.random = random.Random(seed)
        self.number = 0
        self.tables = 0
        self.kept = {}
        self.writer, self.path = box.database(
            "PRAGMA page_size=%d" % page_size, "PRAGMA auto_vacuum=%d" % auto_vacuum,
            "CREATE TABLE marks(id INTEGER PRIMARY KEY)",
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200) "
            "INSERT INTO t(v) SELECT hex(randomblob(60)) FROM n")

    def statements(self):
        r = self.random.random()
        if r < 0.5:
            rows = self.random.choice((1, 1, 1, 20, 400))
            size = self.random.choice((10, 60, 60, 9000)) if rows < 50 else 40
            return ["WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE "
                    "i<%d) INSERT INTO t(v) SELECT hex(randomblob(%d)) FROM n"
                    % (rows, size)]
        if r < 0.7:
            return ["UPDATE t SET v = hex(randomblob(50)) WHERE id %% %d = 0"
                    % self.random.randint(3, 40)]
        if r < 0.85:
            return ["DELETE FROM t WHERE id %% %d > 0" % self.random.randint(2, 6)]
        if r < 0.95:
            self.tables += 1
            return ["CREATE TABLE x%d(a, b)" % self.tables,
                    "INSERT INTO x%d SELECT id, v FROM t LIMIT 30" % self.tables]
        return ["DROP TABLE IF EXISTS x%d" % self.tables]

    def commit(self):
        if self.random.random() < 0.1:
            self.writer.sql("c", self.random.choice(
                ("VACUUM", "PRAGMA incremental_vacuum(30)")))
        self.number += 1
        self.writer.sql("c", "BEGIN IMMEDIATE", *self.statements(),
                        "INSERT INTO marks VALUES(%d)" % self.number, "COMMIT")

    def keep(self, tail):
        """The database now, by the LSN of the last commit, which the events tell."""
        while True:
            expect(tail.wait_lines(1, 20), "no event of commit %d", self.number)
            event = json.loads(tail.take(1)[0])
            if event["source"]["table"] == "marks" and \
                    event["after"]["id"] == self.number:
                self.kept[event["source"]["lsn"]] = image(self.path)
                return event["source"]["lsn"]


def follow(box, work, archive, *more, wait=True):
    return box.tail(work.path, "--state", box.path("state"), "--archive", archive, "-D",
                    "snapshot.mode=no_data", "-D", "table.include.list=marks", *more,
                    wait=wait)


def wait_for(box, archive, lsn):
    box.wait_until(lambda: lsn in ends(box, archive), 30, "LSN %d is not archived" % lsn)


def upload_rest(box, work, archive):
    """What a slow machine has not uploaded in the time that a stop has for that."""
    if waits(box):
        expect(follow(box, work, archive, "--once", wait=False).wait_exit(60) == 0,
               "it is not uploaded")


def check_moments(box, seed, page_size, auto_vacuum):
    """Moments of two runs, and the end."""
    work, archive = Work(box, seed, page_size, auto_vacuum), box.path("archive")
    for _ in range(2):
        tail = follow(box, work, archive, "-D", "archive.interval.ms=0")
        for _ in range(14):
            work.commit()
            lsn = work.keep(tail)
            if work.random.random() < 0.5:
                wait_for(box, archive, lsn)
        box.stop(tail)
        upload_rest(box, work, archive)
        expect(restored(box, archive) == image(work.path), "another database at the end")
        work.commit()                   # nobody follows: a later run finds it
        work.commit()
    tail = follow(box, work, archive, "--once", wait=False)
    expect(tail.wait_exit(20) == 0, "--once: %s", tail.error_text())
    expect(restored(box, archive) == image(work.path), "another database after --once")
    expect(len(set(work.kept) & ends(box, archive)) >= 8, "too few moments")
    return judge(box, archive, work.kept), None


def test_each_moment_with_pages_of_512_bytes(box):
    return check_moments(box, 1, 512, 1)


def test_each_moment_with_pages_of_4096_bytes(box):
    return check_moments(box, 2, 4096, 0)


def test_each_moment_with_pages_of_65536_bytes(box):
    return check_moments(box, 3, 65536, 2)


def small(box):
    return box.database("CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
                        "INSERT INTO t(v) VALUES('one'),('two')")


def once(box, path, archive, *more, state="state", code=0, timeout=30):
    done = box.run(path, "--state", box.path(state), "--archive", archive, "--to", "none",
                   "--once", *more, timeout=timeout)
    expect(done.code == code, "expected exit %d: %s", code, done)
    return done


def same(box, archive, path):
    expect(restored(box, archive) == image(path), "another database")
    verified(box, archive)


def test_another_state_directory_is_refused_until_it_takes_over(box):
    writer, path = small(box)
    archive = box.path("archive")
    once(box, path, archive)
    before = image(path)
    known = max(ends(box, archive))
    done = once(box, path, archive, state="other", code=2)
    expect("is the archive of another state directory" in done.error_lines[-1], "%s", done)
    writer.sql("c", "INSERT INTO t(v) VALUES('three')")
    once(box, path, archive, "-D", "archive.take.over=true", state="other")
    same(box, archive, path)
    expect(restored(box, archive, known) == before, "the moment before has changed")
    writer.sql("c", "INSERT INTO t(v) VALUES('four')")
    once(box, path, archive, state="other")     # it is needed once
    same(box, archive, path)
    expect(listed(box, archive)["gaps"] == [], "gaps")
    done = once(box, path, archive, code=2)
    expect("is the archive of another state directory" in done.error_lines[-1], "%s", done)


def test_files_without_a_note_are_refused_until_they_are_taken_over(box):
    writer, path = small(box)
    archive = box.path("archive")
    once(box, path, archive)
    os.remove(os.path.join(archive, "rowtail.json"))
    done = once(box, path, archive, code=2)
    expect("has files that rowtail did not write" in done.error_lines[-1], "%s", done)
    writer.sql("c", "UPDATE t SET v = 'other'")
    once(box, path, archive, "-D", "archive.take.over=true", state="other")
    same(box, archive, path)


def test_an_archive_that_was_emptied_begins_with_the_whole_database(box):
    writer, path = small(box)
    archive = box.path("archive")
    once(box, path, archive)
    shutil.rmtree(archive)
    os.mkdir(archive)
    writer.sql("c", "INSERT INTO t(v) VALUES('three')")
    once(box, path, archive)
    same(box, archive, path)


def test_an_archive_that_lacks_files_is_made_whole(box):
    writer, path = small(box)
    archive = box.path("archive")
    for n in range(3):
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        once(box, path, archive)
    level = os.path.join(archive, "ltx", "0")
    os.remove(os.path.join(level, sorted(os.listdir(level))[0]))
    writer.sql("c", "INSERT INTO t(v) VALUES('more')")
    done = once(box, path, archive)
    expect(not any("not merged or removed" in line for line in done.error_lines), "%s",
           done)
    expect(restored(box, archive) == image(path), "another database")


def status(box):
    """What `rowtail status` says of the archive: the JSON, and lines."""
    args = ("status", "--state", box.path("state"))
    done, lines = box.run(*args, "--json"), box.run(*args)
    expect(done.code == lines.code == 0, "%s, %s", done, lines)
    got = json.loads(done.out)
    return got["archive"], got, lines.out.decode()


def test_status_says_what_the_archive_has_and_what_waits(box):
    writer, path = small(box)
    archive, away = box.path("archive"), box.path("away")
    box.run(path, "--state", box.path("state"), "--to", "file:" + box.path("out"), "--once")
    got, _, text = status(box)
    expect(got is None and "archive" not in text.replace(box.folder, ""), "%s", text)
    once(box, path, archive)
    got, whole, text = status(box)
    expect(got["lsn"] == max(ends(box, archive)) == whole["journalled_lsn"] and
           int(got["txid"], 16) == got["lsn"] + 1 and got["up_to_date"], "%s", got)
    expect(got["waiting_files"] == got["waiting_bytes"] == 0 and got["away"] is None and
           0 <= got["age_seconds"] < 600, "%s", got)
    expect("archive:           LSN %d, txid:%s, " % (got["lsn"], got["txid"]) in text and
           "archive waits:     0 files, 0 bytes\narchive away:      no\n" in text and
           ", up to date\n" in text, "%s", text)
    os.rename(archive, away)
    since = None
    for n in range(2):
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        tail = box.tail(path, "--state", box.path("state"), "--archive", archive, "--to",
                        "none")
        box.wait_until(lambda: status(box)[0]["waiting_files"] > n, 30, "no file waits")
        got, whole, text = status(box)
        expect(got["lsn"] < whole["journalled_lsn"] and not got["up_to_date"] and
               got["waiting_bytes"] > 0, "%s", got)
        expect("cannot be opened as an archive" in got["away"]["text"] and
               since in (None, got["away"]["since"]), "%s", got)
        expect("archive away:      since %s: " % got["away"]["since"] in text, "%s", text)
        since = got["away"]["since"]
        box.stop(tail)
    os.rename(away, archive)
    once(box, path, archive)
    got, whole, text = status(box)
    expect(got["lsn"] == whole["journalled_lsn"] and got["away"] is None and
           got["waiting_files"] == 0, "%s", got)


def test_files_wait_while_the_folder_is_away(box):
    writer, path = small(box)
    archive, away = box.path("archive"), box.path("away")
    once(box, path, archive)
    os.rename(archive, away)
    tail = box.tail(path, "--state", box.path("state"), "--archive", archive, "--to",
                    "none", "-D", "archive.interval.ms=0")
    waiting = os.path.join(box.path("state"), "archive", "ltx", "0")
    for n in range(3):
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        box.wait_until(lambda: os.path.exists(waiting) and len(os.listdir(waiting)) > n,
                       20, "no file waits")
    expect(sum("takes no files" in line for line in tail.errors) == 1, "%s",
           tail.error_text())
    expect(not os.path.exists(archive), "a folder was made in its place")
    os.rename(away, archive)
    box.wait_until(lambda: not os.listdir(waiting), 120, "files wait still")
    same(box, archive, path)
    box.stop(tail)
    same(box, archive, path)


def test_an_archive_whose_disk_is_full_is_waited_for(box):
    disk = SmallDisk(box, "disk", 2 << 20)
    work, archive = Work(box, 31), os.path.join(disk.path, "archive")
    tail = follow(box, work, archive, "-D", "archive.interval.ms=0")
    for _ in range(4):
        work.commit()
        wait_for(box, archive, work.keep(tail))
    count = 0
    while not any("takes no files" in line for line in tail.errors):
        count += 1
        expect(count < 200, "the disk takes more and more: %s", tail.error_text())
        work.commit()
        work.keep(tail)
    work.commit()
    lsn = work.keep(tail)
    expect(tail.process.poll() is None, "it ended: %s", tail.error_text())
    verified(box, archive)              # what is there is whole
    disk.resize(64 << 20)
    box.wait_until(lambda: lsn in ends(box, archive), 120, "it does not go on")
    box.stop(tail)
    lines = [line for line in tail.errors if "takes no files" in line]
    expect(len(lines) == 1 and "No space left on device" in lines[0], "%s", lines)
    expect(restored(box, archive) == image(work.path), "another database at the end")
    return judge(box, archive, work.kept), None


def test_of_two_live_writers_the_older_one_ends(box):
    """Another state directory takes the archive over while the first one is at work."""
    writer, path = small(box)
    archive = box.path("archive")
    first = box.tail(path, "--state", box.path("state"), "--archive", archive, "--to",
                     "none", "-D", "archive.interval.ms=0")
    kept = {}

    def commit(n):
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
    for n in range(3):
        commit(n)
        box.wait_until(lambda: same_now(box, archive, path), 30, "not archived")
        kept[max(ends(box, archive))] = image(path)
    second = box.tail(path, "--state", box.path("other"), "--archive", archive, "--to",
                      "none", "-D", "archive.interval.ms=0", "-D",
                      "archive.take.over=true")
    box.wait_until(lambda: os.path.exists(os.path.join(archive, "rowtail-2.json")), 30,
                   "not taken over")
    for n in range(3):
        commit(n)
        box.wait_until(lambda: same_now(box, archive, path), 30, "not archived")
        kept[max(ends(box, archive))] = image(path)
    expect(first.wait_exit(20) == 2, "the first one: %s; %s", first.process.poll(),
           first.error_text())
    expect("was taken over by another state directory" in first.errors[-1], "%s",
           first.error_text())
    box.stop(second)
    expect(listed(box, archive)["gaps"] == [], "gaps")
    return judge(box, archive, kept), None


def same_now(box, archive, path):
    out = box.path("now.db")
    done = box.run("restore", archive, out, timeout=60)
    if done.code != 0:          # it has no file yet
        return False
    with open(out, "rb") as file:
        data = file.read()
    os.remove(out)
    return data == image(path)


def waits(box):
    """[(name, bytes)] of files that wait."""
    folder = os.path.join(box.path("state"), "archive", "ltx")
    found = []
    for level in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        for name in os.listdir(os.path.join(folder, level)):
            try:
                found.append((name, os.path.getsize(os.path.join(folder, level, name))))
            except FileNotFoundError:       # it was merged
                pass
    return found


def check_bound(box, seed, page_size, auto_vacuum):
    """Much more is written than the database has while the archive is away."""
    work, archive, away = Work(box, seed, page_size, auto_vacuum), box.path("archive"), \
        box.path("away")
    tail = follow(box, work, archive)
    work.commit()
    wait_for(box, archive, work.keep(tail))
    box.stop(tail)
    os.rename(archive, away)
    tail = follow(box, work, archive, "-D", "archive.interval.ms=0")
    written, seen, merged = 0, set(), False
    while not merged or written < 3 << 20:
        expect(len(work.kept) < 2000, "no file was merged")
        work.commit()
        work.keep(tail)
        now = waits(box)
        for name, size in now:
            if name not in seen:
                seen.add(name)
                written += size
        merged = merged or bool(seen - {name for name, _ in now})
    for _ in range(3):
        work.commit()
    work.keep(tail)
    database = max(len(work.kept[max(work.kept)]), 1 << 20)
    box.wait_until(lambda: sum(size for _, size in waits(box)) <= database * 5 / 4, 30,
                   "%d bytes wait, the database has %d" % (
                       sum(size for _, size in waits(box)), database))
    expect(not any("cannot be merged" in line for line in tail.errors), "%s",
           tail.error_text())
    os.rename(away, archive)
    box.stop(tail)
    tail = follow(box, work, archive, "--once", wait=False)
    expect(tail.wait_exit(60) == 0, "--once: %s", tail.error_text())
    expect(not waits(box), "files wait still")
    expect(restored(box, archive) == image(work.path), "another database at the end")
    return judge(box, archive, work.kept), None


def test_what_waits_is_bounded_with_pages_of_512_bytes(box):
    return check_bound(box, 21, 512, 1)


def test_what_waits_is_bounded_with_pages_of_4096_bytes(box):
    return check_bound(box, 22, 4096, 0)


def test_a_folder_that_is_moved_away_while_it_is_written_to(box):
    """Files wait, though what was opened could still be written to."""
    writer, path = small(box)
    archive, away = box.path("archive"), box.path("away")
    tail = box.tail(path, "--state", box.path("state"), "--archive", archive, "--to",
                    "none", "-D", "archive.interval.ms=0")
    waiting = os.path.join(box.path("state"), "archive", "ltx", "0")
    writer.sql("c", "INSERT INTO t(v) VALUES('three')")
    box.wait_until(lambda: os.path.exists(archive + "/ltx/0") and len(
        os.listdir(archive + "/ltx/0")) == 1 and not os.listdir(waiting), 30, "no file")
    os.rename(archive, away)
    for n in range(3):
        writer.sql("c", "INSERT INTO t(v) VALUES(%d)" % n)
        box.wait_until(lambda: len(os.listdir(waiting)) > n, 20, "no file waits")
    box.wait_until(lambda: any("takes no files" in line for line in tail.errors), 20,
                   "nothing is said: %s" % tail.error_text())
    expect(len(os.listdir(away + "/ltx/0")) == 1 and not os.path.exists(archive),
           "files were written elsewhere")
    os.rename(away, archive)
    box.stop(tail)                      # whenever it would have tried again
    expect(not os.listdir(waiting), "files wait still: %s", tail.error_text())
    same(box, archive, path)


def test_another_folder_in_its_place_is_not_taken_for_it(box):
    writer, path = small(box)
    archive, away = box.path("archive"), box.path("away")
    args = (path, "--state", box.path("state"), "--archive", archive, "--to", "none",
            "-D", "archive.interval.ms=0")
    tail = box.tail(*args)
    box.wait_until(lambda: os.path.exists(archive + "/ltx/9") and os.listdir(
        archive + "/ltx/9"), 30, "no file")
    os.rename(archive, away)
    os.mkdir(archive)
    writer.sql("c", "INSERT INTO t(v) VALUES('three')")
    expect(tail.wait_exit(30) == 2 and "start rowtail again" in tail.errors[-1], "%s",
           tail.error_text())
    box.stop(box.tail(*args))
    same(box, archive, path)


def test_a_state_directory_that_is_an_older_copy_is_refused(box):
    writer, path = small(box)
    archive = box.path("archive")
    once(box, path, archive)
    shutil.copytree(box.path("state"), box.path("older"))
    writer.sql("c", "INSERT INTO t(v) VALUES('three')")
    once(box, path, archive)
    done = once(box, path, archive, state="older", code=2)
    expect("it is an older copy" in done.error_lines[-1], "%s", done)
    same(box, archive, path)


def test_a_new_page_size_begins_with_a_whole_database(box):
    writer, path = small(box)
    archive = box.path("archive")
    once(box, path, archive)
    before, known = image(path), max(ends(box, archive))
    writer.sql("c", "PRAGMA journal_mode=DELETE", "PRAGMA page_size=8192", "VACUUM",
               "PRAGMA journal_mode=WAL", "INSERT INTO t(v) VALUES('large')")
    once(box, path, archive)
    same(box, archive, path)
    expect(restored(box, archive, known) == before, "the moment before has changed")


def test_a_time_as_it_is_listed_leads_to_its_state(box):
    writer, path = small(box)
    archive, kept = box.path("archive"), {}
    for n in range(4):
        writer.sql("c", "INSERT INTO t(v) VALUES('%d')" % n)
        once(box, path, archive)
        kept[max(ends(box, archive))] = image(path)
    found = [f for f in listed(box, archive)["files"] if int(f["max_txid"], 16) - 1 in kept]
    expect(len(found) >= 4, "%s", found)
    out = box.path("at.db")
    for file in found:
        lsn = int(file["max_txid"], 16) - 1
        done = box.run("restore", archive, out, "--at", file["time"])
        expect(done.code == 0, "%s", done)
        with open(out, "rb") as restored_file:
            expect(restored_file.read() == kept[lsn], "at %s: not %d", file["time"], lsn)
        os.remove(out)
    # Files are as exact as what was captured, and so are times that are given so.
    last = max((f for f in found if f["level"] == 0), key=lambda f: f["max_txid"])
    name = "%s/ltx/0/%s-%s.ltx" % (archive, last["min_txid"], last["max_txid"])
    time_ns = os.stat(name).st_mtime_ns
    expect(any(os.stat(os.path.join(folder, f)).st_mtime_ns % 1000000
               for folder, _, names in os.walk(archive) for f in names
               if f.endswith(".ltx")), "all times are whole milliseconds")
    for offset, lsn in ((0, sorted(kept)[-1]), (-1, sorted(kept)[-2])):
        seconds, rest = divmod(time_ns + offset, 10 ** 9)
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%09dZ" % rest
        done = box.run("restore", archive, out, "--at", when)
        expect(done.code == 0, "%s", done)
        with open(out, "rb") as restored_file:
            expect(restored_file.read() == kept[lsn], "at %s: not %d", when, lsn)
        os.remove(out)


def test_options_that_do_not_go_together_are_refused(box):
    writer, path = small(box)
    for words, part in ((("--archive", "a"), "--archive needs --state"),
                        (("--to", "none", "--state", "s"), "--to none without --archive"),
                        (("--archive", "", "--state", "s"), "--archive: must be")):
        done = box.run(path, *words)
        expect(done.code == 2 and part in done.error_lines[-1], "%s", done)


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 900

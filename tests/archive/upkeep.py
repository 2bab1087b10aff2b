"""rowtail archive compact and prune: files are merged and removed, and every state that
is kept can be restored as before."""

import glob
import os
import random
import resource
import shutil
import signal
import subprocess
import time

from harness import ltx
from harness.archive import listed, names
from harness.box import TESTS, expect
from harness.s3 import BUCKET
from harness.s3_fake import FakeS3

FIXTURES = sorted(glob.glob(os.path.join(TESTS, "archive", "fixtures", "*")))
PAGE = 512
AHEAD = "8000"  # seconds: past the time that a file must have been there


def make(archive, count=60, seed=1, first=2, whole=True):
    """A snapshot, and files of level 0 with one transaction and second each."""
    rng = random.Random(seed)
    pages, size = {n: bytes([n]) * PAGE for n in range(1, 9)}, 8
    if whole:
        ltx.write(archive, 9, 1, first - 1, PAGE, size, pages)
    for txid in range(first, first + count):
        before = size
        if rng.random() < 0.3:
            size = rng.randint(2, 20)
        changed = set(range(before + 1, size + 1)) | {rng.randint(1, size)}
        ltx.write(archive, 0, txid, txid, PAGE, size,
                  {n: bytes([rng.randint(1, 255)]) * PAGE for n in changed})


def states(box, archive):
    """{TXID: content} of all that can be restored."""
    out, found = box.path("state.db"), {}
    for txid in sorted({f["max_txid"] for f in listed(box, archive)["files"]}):
        done = box.run("restore", archive, out, "--at", "txid:" + txid)
        if done.code == 0:
            with open(out, "rb") as file:
                found[int(txid, 16)] = file.read()
            os.remove(out)
    return found


def run(box, *args, **more):
    done = box.run("archive", *args, timeout=60, **more)
    expect(done.code == 0, "%s", done)
    return done.out.decode().splitlines()


def verified(box, archive):
    done = box.run("archive", "verify", archive, timeout=60)
    expect(done.code == 0, "verify: %s", done)
    left = [n for _, _, files in os.walk(archive) for n in files
            if not n.endswith(".ltx")]
    expect(not left, "left behind: %s", left)


def pruned(box, *args, **more):
    """archive prune, when files have been there for some hours."""
    return run(box, "prune", *args,
               env=box.preloading("clock_ahead", CLOCK_AHEAD_S=AHEAD), **more)


def test_what_is_due_is_merged_and_leads_to_the_same_states(box):
    archive = box.path("archive")
    make(archive, 45)
    before = states(box, archive)
    levels = "archive.compaction.levels=5s, 15s"
    lines = run(box, "compact", archive, "-D", levels)
    expect(lines[0].startswith("made 1/%016x-%016x.ltx " % (2, 4)), "%s", lines)
    expect(lines[-1].startswith("made %d files, " % (len(lines) - 1)), "%s", lines)
    there = names(box, archive)
    expect({"1/2-4", "1/5-9", "1/45-46", "2/2-14", "2/30-44", "9/1-1", "9/1-46",
            "0/2-2"} <= there and "2/45-46" not in there, "%s", there)
    expect(states(box, archive) == before, "other states")
    verified(box, archive)
    # Of each level alone the same.
    shutil.rmtree(os.path.join(archive, "ltx", "0"))
    os.remove(ltx.path_of(archive, 9, 1, 46))
    after = states(box, archive)
    expect(len(after) > 8 and all(before[t] == after[t] for t in after), "level 1")
    shutil.rmtree(os.path.join(archive, "ltx", "1"))
    after = states(box, archive)
    expect(set(after) == {1, 14, 29, 44}, "%s", set(after))
    expect(all(before[t] == after[t] for t in after), "level 2")
    expect(run(box, "compact", archive, "-D", levels)[0].startswith("made 9/"), "again")


def test_what_old_and_new_litestream_wrote_is_merged(box):
    """Pages as LZ4 frames and as blocks."""
    for folder in FIXTURES:
        archive = box.path(os.path.basename(folder))
        shutil.copytree(os.path.join(folder, "archive"), archive)
        for level in "19":
            shutil.rmtree(os.path.join(archive, "ltx", level))
        for n, name in enumerate(sorted(os.listdir(os.path.join(archive, "ltx", "0")))):
            os.utime(os.path.join(archive, "ltx", "0", name), (n, n))
        before = states(box, archive)
        run(box, "compact", archive, "-D", "archive.compaction.levels=3s")
        there = names(box, archive)
        expect({"1/2-3", "1/4-6", "9/1-6"} <= there, "%s", there)
        expect(states(box, archive) == before, "other states")
        shutil.rmtree(os.path.join(archive, "ltx", "9"))
        for txid in range(2, 7):
            os.remove(ltx.path_of(archive, 0, txid, txid))
        after = states(box, archive)
        expect(set(after) == {1, 3, 6}, "%s", set(after))
        expect(all(before[t] == after[t] for t in after), "other states of level 1")
        verified(box, archive)


def test_times_are_those_of_the_last_transaction(box):
    archive = box.path("archive")
    make(archive, 40)
    run(box, "compact", archive)
    for file in listed(box, archive)["files"]:
        at = "1970-01-01T00:00:%02d.000Z" % (int(file["max_txid"], 16) % 60)
        expect(file["time"] == at or int(file["max_txid"], 16) > 59, "%s", file)


def test_what_is_past_its_time_goes_and_the_rest_can_be_restored(box):
    archive = box.path("archive")
    make(archive, 50)
    ltx.write(archive, 9, 1, 20, PAGE, 2, {1: b"a" * PAGE, 2: b"b" * PAGE})
    shutil.copytree(archive, box.path("other"))
    env = box.preloading("clock_ahead", CLOCK_AHEAD_S=AHEAD)
    settings = ("-D", "archive.compaction.levels=10s", "-D", "archive.snapshot.interval=40s")
    run(box, "compact", archive, *settings)
    before, there = states(box, archive), names(box, archive)
    expect({"9/1-1", "9/1-20", "9/1-51"} <= there, "%s", there)
    # Nobody knows yet that what covers it stays.
    expect(run(box, "prune", archive)[-1] == "removed 0 files, 0 bytes", "too early")
    planned = run(box, "prune", archive, "--dry-run", env=env)
    expect(names(box, archive) == there, "--dry-run removed something")
    lines = pruned(box, archive)
    expect([line.replace("would remove", "removed") for line in planned] == lines,
           "%s, and then %s", planned, lines)
    expect(len(lines) > 20, "%s", lines)
    after, left = states(box, archive), names(box, archive)
    expect(all(before[t] == after[t] for t in after), "other states")
    expect("9/1-51" in left and "9/1-20" in left and "9/1-1" not in left, "%s", left)
    expect(max(after) == max(before), "the newest state is gone")
    expect(all(int(name.split("-")[1]) >= 20 for name in left), "%s", left)
    verified(box, archive)
    expect(pruned(box, archive)[-1] == "removed 0 files, 0 bytes", "more went")


def test_what_is_kept_for_ever_stays(box):
    archive = box.path("archive")
    make(archive, 50)
    run(box, "compact", archive)
    there = names(box, archive)
    lines = pruned(box, archive, "-D", "archive.retention=forever", "-D",
                   "archive.l0.retention=forever")
    expect(lines == ["removed 0 files, 0 bytes"], "%s", lines)
    expect(names(box, archive) == there, "something went")


def refused(box, code, part, *args, **more):
    done = box.run("archive", *args, **more)
    lines = done.error_lines
    expect(done.code == code and len(lines) == 1 and part in lines[0],
           "expected exit %d and %r: %s", code, part, done)


def test_with_a_gap_nothing_is_removed(box):
    archive = box.path("archive")
    make(archive, 20)
    for end in (5, 9):
        ltx.write(archive, 9, 1, end, PAGE, 1, {1: b"a" * PAGE})
    os.remove(ltx.path_of(archive, 0, 15, 15))
    there = names(box, archive)
    env = box.preloading("clock_ahead", CLOCK_AHEAD_S=AHEAD)
    for more in ((), ("--dry-run",)):
        refused(box, 1, "nothing is removed: files are missing before the newest state",
                "prune", archive, *more, env=env)
    expect(names(box, archive) == there, "something went")


def test_damage_is_not_merged(box):
    archive = box.path("archive")
    make(archive, 20)
    with open(ltx.path_of(archive, 0, 7, 7), "r+b") as file:
        file.seek(-1, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([byte ^ 1]))
    os.utime(ltx.path_of(archive, 0, 7, 7), (7, 7))
    there = names(box, archive)
    refused(box, 1, "0/%016x-%016x.ltx: has a checksum that is not" % (7, 7), "compact",
            archive)
    expect(names(box, archive) == there, "something was made")
    # One that the database gained a page in, without its image.
    archive = box.path("lost")
    make(archive, 3)
    ltx.write(archive, 0, 5, 5, PAGE, 99, {99: b"a" * PAGE})
    refused(box, 1, "which the database gained, is in no file", "compact", archive)


def test_a_full_disk_leaves_the_archive_as_it_was(box):
    archive = box.path("archive")
    make(archive, 40)
    before, there = states(box, archive), names(box, archive)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
    refused(box, 1, "File too large", "compact", archive, preexec=limit)
    expect(names(box, archive) == there, "something was made")
    verified(box, archive)
    run(box, "compact", archive)
    expect(states(box, archive) == before, "other states")


def test_kill_at_any_moment_leaves_an_archive_that_is_whole(box):
    archive = box.path("archive")
    make(archive, 80)
    env = box.preloading("clock_ahead", CLOCK_AHEAD_S=AHEAD)
    before = states(box, archive)
    shutil.copytree(archive, box.path("fresh"))
    killed = 0
    for n in range(40):
        if n % 20 == 0:
            shutil.rmtree(archive)
            shutil.copytree(box.path("fresh"), archive)
        process = subprocess.Popen(
            box.command("archive", "compact" if n % 4 < 3 else "prune", archive, "-D",
                        "archive.compaction.levels=10s"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        time.sleep(n % 20 * 0.0015)
        process.kill()
        process.wait()
        killed += process.returncode == -signal.SIGKILL
        expect(box.run("archive", "verify", archive, timeout=60).code == 0,
               "not whole after %d", n)
    expect(killed > 0, "none was killed")
    run(box, "compact", archive, "-D", "archive.compaction.levels=10s")
    after = states(box, archive)
    expect(all(before[t] == after[t] for t in after), "other states")
    expect(max(after) == max(before), "the newest state is gone")
    verified(box, archive)


def test_an_archive_in_a_bucket_is_merged_and_pruned(box):
    archive, fake = box.path("archive"), FakeS3(box)
    make(archive, 24)
    before = states(box, archive)
    for level in "09":
        folder = os.path.join(archive, "ltx", level)
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as file:
                fake.put("app/%04d/%s" % (int(level), name), file.read(),
                         "1970-01-01T00:00:%02dZ" % int(name[17:33], 16), 1700000000)
    place = "s3://%s/app" % BUCKET
    settings = ("archive.compaction.levels=5s", "archive.snapshot.interval=10s")

    def there():
        return {key[4:-4] for key in fake.objects}

    def check(last):
        for txid in (1, 4, 9, 19, last):
            done = fake.run("restore", place, box.path("s3.db"), "--at",
                            "txid:%x" % txid)
            expect(done.code == 0, "%s", done)
            with open(box.path("s3.db"), "rb") as file:
                expect(file.read() == before[txid], "another state %d", txid)
            os.remove(box.path("s3.db"))
    done = fake.run("archive", "compact", place, settings=settings)
    expect(done.code == 0, "%s", done)
    made = {"0001/%016x-%016x" % pair for pair in ((2, 4), (5, 9), (10, 14), (15, 19),
                                                   (20, 24))}
    expect(made | {"0009/%016x-%016x" % (1, 25)} <= there(), "%s", there())
    expect(fake.objects["app/0001/%016x-%016x.ltx" % (5, 9)].time.startswith(
        "1970-01-01T00:00:09"), "the time of what was merged")
    check(25)
    # What was made just now lets nothing go.
    done = fake.run("archive", "prune", place)
    expect(done.out == b"removed 0 files, 0 bytes\n", "%s", done)
    for thing in fake.objects.values():
        thing.modified = 1700000000
    planned = fake.run("archive", "prune", place, "--dry-run")
    expect("0000/%016x-%016x" % (2, 2) in there(), "--dry-run removed something")
    done = fake.run("archive", "prune", place)
    expect(done.code == 0 and planned.out.replace(b"would remove", b"removed") ==
           done.out, "%s, and then %s", planned, done)
    expect("0000/%016x-%016x" % (2, 2) not in there() and made <= there(), "%s", there())
    check(25)


def test_usage(box):
    archive = box.path("archive")
    make(archive, 2)
    for code, part, args in (
            (2, "--json does not go with archive prune", ("prune", archive, "--json")),
            (2, "--dry-run does not go with archive list",
             ("list", archive, "--dry-run")),
            (2, "archive sweep: must be list, verify, prune or compact",
             ("sweep", archive)),
            (2, "archive.retention=7: must be a number and s, m, h, d or w, like 24h, "
                "or forever", ("prune", archive, "-D", "archive.retention=7")),
            (2, "archive.l0.retention=0d: must be",
             ("prune", archive, "-D", "archive.l0.retention=0d")),
            (2, "archive.snapshot.interval=often: must be",
             ("compact", archive, "-D", "archive.snapshot.interval=often")),
            (2, "archive.compaction.levels=30s,45s: each must be a multiple",
             ("compact", archive, "-D", "archive.compaction.levels=30s,45s")),
            (2, "archive.compaction.levels=30s;5m: must be numbers",
             ("compact", archive, "-D", "archive.compaction.levels=30s;5m")),
            (2, "cannot be opened as an archive", ("prune", box.path("gone"))),
            (2, "cannot be opened as an archive", ("compact", box.path("gone")))):
        refused(box, code, part, *args)
    expect(not os.path.exists(box.path("gone")), "an archive was made")


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 300

"""The power goes while an audit log is written: what was not synced is there, or not, or in
part. No two heads that anybody ever saw disagree, and each change is told once.

A run with new files, heads and a kill is recorded (faults/trace.h), cut at many places,
and for each the disk is made as it may be then (faults/cuts.py). The next start goes on.
"""

import os
import random
import re
import shutil
import signal

from audit.log import Audited, TABLE, many
from faults.cuts import Disk, content, read_trace
from harness.audit import Heads
from harness.box import Failed, expect, use_faults

MODES = ["none", "all", "calls", "calls", "sectors"]


class Recorded:
    def __init__(self, box, seed):
        self.box = box
        self.random = random.Random(seed)
        self.writer, path = box.database(TABLE, many(1, 20))
        self.folder = box.path("disk")
        os.mkdir(self.folder)
        self.trace = box.path("trace")
        self.audited = Audited(box, path)
        self.audited.path = os.path.join(self.folder, "app.audit")
        self.audited.state = os.path.join(self.folder, "state")
        self.number = 0
        self.run()
        self.records = read_trace(self.trace)

    def change(self):
        self.number += 1
        self.writer.sql("c", "INSERT INTO t(a) VALUES ('new %d')" % self.number,
                        "UPDATE t SET a = a || '.' WHERE id = %d" % (
                            self.random.randrange(20) + 1))

    def run(self):
        """A first start, and one behind it, both with new files; each ends otherwise."""
        env = dict(os.environ, ROWTAIL_TRACE="%s %s" % (self.folder, self.trace))
        for sign in (signal.SIGTERM, signal.SIGKILL):
            tail = self.audited.start(env=env)
            for i in range(12):
                self.change()
                done = self.audited.count(b'"op":"insert"')
                self.box.wait_until(lambda: self.audited.count(b'"op":"insert"') >=
                                    self.number, timeout=30)
                if i % 4 == 3:
                    count = self.audited.count(b'"op":"file"')
                    tail.process.send_signal(signal.SIGHUP)
                    self.box.wait_until(lambda: self.audited.count(
                        b'"op":"file"') > count, timeout=30)
            tail.process.send_signal(sign)
            expect(tail.wait_exit(20) in (0, -sign), "%s", tail.error_text())
            if sign == signal.SIGTERM:
                self.check_trace()
        shutil.rmtree(self.folder)

    def check_trace(self):
        """Each file has a key of its own: if all was recorded, both are in the trace."""
        records = read_trace(self.trace)
        keys = [r for r in records if r.kind == "R" and r.other.endswith("/audit-key")]
        files = [r for r in records if r.kind == "C" and
                 re.fullmatch(re.escape(self.audited.path) + r"\.\d+", r.path)]
        expect(len(keys) == len(files), "%d keys and %d files were recorded", len(keys),
               len(files))

    def seen(self, disk):
        """Heads that were in files at that moment, synced or not."""
        heads = Heads()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        for path, file in disk.files.items():
            if os.path.dirname(path) == self.folder and not path.endswith(".tmp"):
                with open(path, "wb") as out:
                    out.write(content(file, self.random, "all"))
        heads.take_file(self.audited.path)
        return heads

    def restore(self, disk, mode):
        names = disk.survive(self.random, mode)
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)
        if any(os.path.dirname(path) == self.audited.state for path in names):
            os.mkdir(self.audited.state, 0o700)
        made = {}
        for path, data in sorted(names.items()):
            file = id(disk.survived[path])
            if file in made:
                os.link(made[file], path)
                continue
            made[file] = path
            with open(path, "wb") as out:
                out.write(data)
            os.chmod(path, 0o644 if path.endswith((".keys", ".checkpoint")) else 0o600)

    def cut(self, end, mode):
        disk = Disk(self.records, end, self.folder)
        self.audited.heads = self.seen(disk)
        self.restore(disk, mode)
        self.audited.once()
        log = self.audited.matches(signatures="last")
        self.audited.verify()
        return len(log.of("gap"))


def what_is_there(recorded):
    """For whoever looks for the cause: names, lengths, and which keys are where."""
    told = []
    for folder, _, names in os.walk(recorded.folder):
        for name in sorted(names):
            path = os.path.join(folder, name)
            told.append("%s %d" % (path[len(recorded.folder):], os.path.getsize(path)))
            if name.startswith("audit-key") or name in ("app.audit", "app.audit.keys"):
                with open(path, errors="replace") as file:
                    found = re.findall(r"[A-Za-z0-9./-]*\+[0-9a-f]{8}\+", file.read())
                told.append("    " + " ".join(dict.fromkeys(found)))
    return "\n".join(told)


def run_cuts(box, seed, count):
    use_faults(box)
    recorded = Recorded(box, seed)
    records = recorded.records
    expect(len(records) > 200, "%d records", len(records))
    # Where something of the log was just made, more often than elsewhere.
    near = [n for n, r in enumerate(records) if r.kind in "CRLU" and "audit" in r.path]
    for i in range(count):
        if recorded.random.random() < 0.5:
            end = recorded.random.choice(near) + recorded.random.randrange(0, 4)
        else:
            end = recorded.random.randrange(1, len(records) + 1)
        mode = recorded.random.choice(MODES)
        try:
            recorded.cut(min(end, len(records)), mode)
        except Failed as problem:
            raise Failed("seed %d, cut %d (before record %d of %d, %s): %s\n%s" % (
                seed, i, end, len(records), mode, problem, what_is_there(recorded)))
    return count


def test_cuts_of_the_power(box):
    return run_cuts(box, 1, 80)


test_cuts_of_the_power.timeout = 300

"""kill -9 at every place of an audit log's making: each change is told once, and no two
signed heads disagree."""

import collections
import glob
import json
import os
import random
import re
import resource
import signal

from audit.log import Audited, TABLE, end, many, newest
from harness.audit import Log
from harness.box import Failed, TESTS, expect, use_faults


def names():
    found = set()
    for path in glob.glob(os.path.join(os.path.dirname(TESTS), "sinks", "*.c")):
        with open(path) as source:
            found |= set(re.findall(r'FAULT_POINT\("(audit-[a-z-]+)"\)', source.read()))
    return found


class Rounds:
    """One database with one log, killed again and again."""

    def __init__(self, box, seed):
        self.box = box
        self.random = random.Random(seed)
        self.writer, path = box.database(TABLE, many(1, 20))
        self.audited = Audited(box, path)
        self.number = 0

    def change(self):
        self.number += 1
        self.writer.sql("c", "INSERT INTO t(a) VALUES ('new %d')" % self.number,
                        "UPDATE t SET a = a || '.' WHERE id = %d" % (
                            self.random.randrange(20) + 1))

    def follow(self, env, changes=12):
        """A run with heads in it, until it is killed, or comes to its end."""
        tail = self.audited.start(wait=False, env=dict(os.environ, **env))
        self.box.wait_until(lambda: tail.following.is_set() or
                            tail.process.poll() is not None, timeout=20)
        for i in range(changes):
            if tail.process.poll() is not None:
                break
            before = end(self.audited.path)
            self.change()
            if i % 4 == 3:
                self.hang_up(tail)
            self.box.wait_until(lambda: tail.process.poll() is not None or
                                end(self.audited.path) != before)
        if tail.process.poll() is None:
            tail.process.send_signal(signal.SIGTERM)
        code = tail.wait_exit(20)
        expect(code in (0, -signal.SIGKILL), "exit %s; stderr:\n%s", code,
               tail.error_text())
        self.box.complain(tail.errors)
        self.audited.heads.take_file(self.audited.path)
        return code != 0

    def hang_up(self, tail):
        if tail.following.is_set() and tail.process.poll() is None:
            tail.process.send_signal(signal.SIGHUP)

    def check(self):
        """Everything comes now, once, and all heads that were ever seen hold."""
        self.audited.once()
        log = self.audited.matches(signatures="last")
        with open(self.audited.path + ".keys", encoding="utf-8") as file:
            noted = file.read()
        for line in log.of("file", "key"):
            expect(line["key"] in noted, "a key is not in PATH.keys: line %d", line["n"])

    def leave_more(self):
        """As a kill before a sync does: a line that was never acknowledged."""
        number = self.audited.count(b"\n")
        with open(self.audited.path, "ab") as file:
            file.write(b'{"n":%d,"time":"2026-11-07T13:37:55.200Z","txn":1,' % number)

    def killed_at(self, name, count=1):
        return self.follow({"ROWTAIL_KILL": "%s:%d" % (name, count)})


def reached(rounds):
    path = rounds.box.path("reached")
    if os.path.exists(path):
        os.remove(path)
    expect(not rounds.follow({"ROWTAIL_REACHED": path}), "killed by nobody")
    with open(path) as source:
        return collections.Counter(n for n in source.read().split()
                                   if n.startswith("audit-"))


FIRST = {"audit-made", "audit-key-written", "audit-key-renamed"}
CUT = {"audit-before-cut", "audit-cut"}
# Files that follow others, are compressed and go.
TURN = {"audit-next-made", "audit-before-name", "audit-linked", "audit-named",
        "audit-before-turn", "audit-turned", "audit-key-written", "audit-key-renamed"}
PACK = {"audit-packed", "audit-unpacked-gone"}
DROP = {"audit-before-drop"}
GONE = {"audit-before-gone"}
REDACT = {"audit-redaction-told", "audit-redacted"}      # redact.py is killed there
RARE = FIRST | CUT | TURN | PACK | DROP | GONE | REDACT


def test_every_place_is_come_to_by_some_round(box):
    use_faults(box)
    rounds = Rounds(box, 1)
    first = set(reached(rounds))
    rounds.leave_more()
    cut = set(reached(rounds))
    expect(FIRST <= first and CUT <= cut, "first %s, then %s", first, cut)
    seen = first | cut | DROP | GONE | REDACT   # those are killed at below
    expect(seen == names(), "nobody comes to %s", names() - seen)


def run_round(box, kinds, seed):
    use_faults(box)
    kills = 0
    rounds = Rounds(box, seed)
    usual = reached(rounds)
    rounds.check()
    for name in sorted(kinds):
        for count in sorted({1, 2, max(1, usual[name] // 2), max(1, usual[name] - 1)}):
            if rounds.killed_at(name, count):
                kills += 1
                rounds.check()
    return kills


def test_each_step_of_a_line_and_of_a_head(box):
    kills = run_round(box, names() - RARE, 2)
    expect(kills >= len(names() - RARE), "only %d kills", kills)
    return kills


test_each_step_of_a_line_and_of_a_head.timeout = 180


def test_each_step_of_a_first_start(box):
    use_faults(box)
    kills = 0
    for name in sorted(names() - RARE | FIRST | {"audit-before-name", "audit-linked", "audit-named"}):
        rounds = Rounds(box, kills)
        rounds.audited.path = box.path("app-%d.audit" % kills)
        rounds.audited.state = box.path("state-%d" % kills)
        expect(rounds.killed_at(name), "%s: it was not killed", name)
        rounds.check()
        rounds.writer.close()
        os.remove(rounds.audited.database)
        kills += 1
    return kills


test_each_step_of_a_first_start.timeout = 120


def test_each_step_of_a_new_file(box):
    """Whatever was done of it, the log goes on, and no key is lost."""
    kills = run_round(box, TURN, 10)
    expect(kills >= len(TURN), "only %d kills", kills)
    return kills


test_each_step_of_a_new_file.timeout = 240


def test_each_step_of_compressing(box):
    use_faults(box)
    kills = 0
    rounds = Rounds(box, 11)
    rounds.check()
    for name in sorted(PACK):
        for count in (1, 2):
            kills += rounds.killed_at(name, count)
            rounds.check()
    expect(kills > 0, "no kill")        # it may be stopped before it comes to the second
    return kills


def test_a_new_file_that_was_never_whole_is_dropped(box):
    use_faults(box)
    rounds = Rounds(box, 12)
    rounds.check()
    for fault in ({"ROWTAIL_KILL": "audit-next-made:1"},
                  {"ROWTAIL_KILL": "audit-next-made:2"}):
        expect(rounds.follow(fault), "it was not killed")
        torn = newest(rounds.audited.path)
        expect(os.path.getsize(torn) == 0, "%s has lines", torn)
        with open(torn, "wb") as file:
            file.write(b'{"n":%d,"time":"2026-11-' % int(torn[-12:]))
        expect(rounds.killed_at("audit-before-drop"), "it was not killed")
        rounds.check()
    return 4


def test_a_first_write_whose_first_sector_was_lost(box):
    """Seen after a power cut: zeros, and behind them what was written. What has not the
    name that only a log's first file has, or is too long, stays."""
    audited = Rounds(box, 14).audited
    first = audited.path + ".000000000000"
    torn = bytes(512) + b'5e3"}\n{"n":1,"time":"2026-11-'
    for name, data in ((audited.path, torn), (first, bytes(65537))):
        with open(name, "wb") as file:
            file.write(data)
        result = audited.once(code=2)
        expect("is no audit log" in result.error_lines[-1], "%s", result)
        with open(name, "rb") as file:
            expect(file.read() == data, "%s was written to", name)
        os.remove(name)
    with open(first, "wb") as file:
        file.write(torn)
    audited.once()
    log = audited.matches()
    expect(not log.of("gap"), "a gap")
    with open(first, "r+b") as file:            # of a log that is known it is damage
        file.write(bytes(512))
        damaged = file.seek(0) or file.read()
    for more in ([], ["--accept-gap"]):
        result = audited.once(*more, code=2)
        expect("is no audit log" in result.error_lines[-1], "%s", result)
    with open(first, "rb") as file:
        expect(file.read() == damaged, "it was written to")
    return 4


def test_each_step_of_what_goes(box):
    """The log says so first; what it says is gone may still be there."""
    use_faults(box)
    rounds = Rounds(box, 13)
    rounds.audited.args += ("-D", "audit.retention.bytes=1")
    rounds.audited.args += ("-D", "audit.compress=false")
    rounds.check()
    for count in (1, 2, 3):
        expect(rounds.killed_at("audit-before-gone", count), "it was not killed")
        rounds.audited.once()
        rounds.audited.log(signatures="last")
    return 3


def test_each_step_of_a_cut(box):
    """Killed while what was not acknowledged is cut off."""
    use_faults(box)
    rounds = Rounds(box, 4)
    rounds.check()
    for name in sorted(CUT):
        rounds.leave_more()
        expect(rounds.killed_at(name), "%s: it was not killed", name)
        rounds.check()
    return len(CUT)


def test_a_torn_line_is_cut_and_comes_again(box):
    use_faults(box)
    rounds = Rounds(box, 5)
    rounds.check()
    for _ in range(6):
        rounds.follow({"ROWTAIL_FAIL": "write %s %d 1 KILL" % (
            newest(rounds.audited.path), rounds.random.randrange(1, 20))})
        rounds.check()
    return 6


def test_a_disk_that_is_full_for_a_while(box):
    """Nothing is lost, and the log tells of it; also where a head did not fit."""
    writer, path = box.database(TABLE, many(1, 5))
    audited = Audited(box, path)
    audited.once()
    size = os.path.getsize(audited.path)
    for room in (40, 150, 700):
        def limit(room=room):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE,
                               (size + room, resource.RLIM_INFINITY))
        tail = audited.start(wait=False, preexec=limit)
        box.wait_until(lambda: "cannot be written" in tail.error_text(), timeout=20)
        writer.sql("c", "UPDATE t SET a = 'full %d' WHERE id = 1" % room)
        resource.prlimit(tail.process.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        box.wait_until(lambda: b'"op":"full_disk"' in open(
            audited.path, "rb").read()[size:], timeout=20)
        box.stop(tail)
        log = audited.matches()
        size = os.path.getsize(audited.path)
    expect(len(log.of("full_disk")) == 3, "%s", log.of("full_disk"))


def test_a_stop_while_the_disk_is_full(box):
    writer, path = box.database(TABLE, many(1, 5))
    audited = Audited(box, path)
    audited.once()
    size = os.path.getsize(audited.path)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 60, resource.RLIM_INFINITY))
    tail = audited.start(wait=False, preexec=limit)
    box.wait_until(lambda: "cannot be written" in tail.error_text(), timeout=20)
    writer.sql("c", "UPDATE t SET a = 'full' WHERE id = 1")
    box.stop(tail)
    audited.heads.take_file(audited.path)
    audited.once()
    audited.matches()


def test_a_sync_that_fails_ends_the_run_and_loses_nothing(box):
    use_faults(box)
    rounds = Rounds(box, 6)
    rounds.check()
    for call in ("sync", "write"):
        for count in (1, 2, 3, 5):
            env = {"ROWTAIL_FAIL": "%s %s %d 1 EIO" % (
                call, newest(rounds.audited.path), count)}
            tail = rounds.audited.start(wait=False, env=dict(os.environ, **env))
            for _ in range(6):
                if tail.process.poll() is None:
                    rounds.change()
            if tail.process.poll() is None:
                box.wait_until(lambda: tail.process.poll() is not None or
                               tail.following.is_set(), timeout=20)
                tail.process.send_signal(signal.SIGTERM)
            code = tail.wait_exit(20)
            expect(code in (0, 1), "%s %d: exit %s\n%s", call, count, code,
                   tail.error_text())
            rounds.audited.heads.take_file(rounds.audited.path)
            rounds.check()


test_a_sync_that_fails_ends_the_run_and_loses_nothing.timeout = 120


def killed_before_a_head(rounds, *args):
    """Its lines are acknowledged, and no head signs them."""
    tail = rounds.audited.start(*args, wait=False, env=dict(
        os.environ, ROWTAIL_KILL="audit-before-sign:1"))
    expect(tail.wait_exit(20) == -signal.SIGKILL, "%s", tail.error_text())


def test_what_was_accepted_needs_no_second_word(box):
    """Killed before the first head of the run that accepted it."""
    use_faults(box)
    for kind in ("altered", "foreign"):
        rounds = Rounds(box, 7)
        rounds.audited.path = box.path(kind + ".audit")
        rounds.audited.state = box.path(kind)
        rounds.audited.once()
        if kind == "altered":
            with open(rounds.audited.path, "rb") as file:
                content = file.read()
            with open(rounds.audited.path, "wb") as file:
                file.write(content.replace(b'"a":"x3"', b'"a":"y3"'))
        else:
            rounds.audited.state = box.path("another")
        rounds.audited.once(code=1 if kind == "altered" else 2)
        killed_before_a_head(rounds, "--accept-gap")
        rounds.audited.once()
        with open(rounds.audited.path, "rb") as file:
            expect(file.read().count(b'"op":"gap"') == 2, "gaps")
        rounds.writer.close()
        os.remove(rounds.audited.database)


def test_lines_without_a_head_outlive_another_sink(box):
    use_faults(box)
    rounds = Rounds(box, 8)
    rounds.audited.once()
    rounds.change()
    rounds.audited.once()
    rounds.change()
    tail = rounds.audited.start(wait=False, env=dict(
        os.environ, ROWTAIL_KILL="audit-before-sign:2"))
    box.wait_until(lambda: tail.following.is_set() or tail.process.poll() is not None,
                   timeout=20)
    rounds.change()
    expect(tail.wait_exit(20) == -signal.SIGKILL, "%s", tail.error_text())
    with open(rounds.audited.path, "rb") as file:
        before = file.read()
    result = box.run(rounds.audited.database, "--to", "file:" + box.path("out"),
                     "--state", rounds.audited.state, "--once")
    expect(result.code == 0, "%s", result)
    rounds.audited.once()
    with open(rounds.audited.path, "rb") as file:
        expect(file.read().startswith(before), "lines that were acknowledged are gone")
    log = Log(box, rounds.audited.path)
    expect("went elsewhere" in log.of("gap")[-1]["why"], "%s", log.of("gap"))


def test_a_line_of_a_key_that_was_cut_short_takes_no_other_with_it(box):
    use_faults(box)
    audited = Rounds(box, 9).audited
    keys = audited.path + ".keys"
    tail = audited.start(wait=False, env=dict(
        os.environ, ROWTAIL_FAIL="write %s 1 1 KILL" % keys))
    expect(tail.wait_exit(20) == -signal.SIGKILL, "%s", tail.error_text())
    with open(keys, "rb") as file:
        torn = file.read()
    expect(torn and not torn.endswith(b"\n"), "it is not torn: %r", torn)
    audited.once()
    with open(keys, "rb") as file:
        lines = file.read().splitlines()
    expect(lines[0] == torn and len(lines) == 2 and
           json.loads(lines[1])["key"] == audited.key(), "%s", lines)

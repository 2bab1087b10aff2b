"""Every way to change a log is found: by audit verify, by the next start, and by a head that
was kept elsewhere where nothing else can tell."""

import base64
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess

from audit.log import Audited, TABLE, many, remove
from harness.audit import Log, Tree
from harness.box import expect


class Tampered:
    """A log with a head that was kept elsewhere, to be changed in copies."""

    def __init__(self, box):
        self.box = box
        self.writer, path = box.database(TABLE, many(1, 5))
        self.audited = Audited(box, path)
        for i in range(3):
            self.audited.once()
            self.writer.sql("c", "UPDATE t SET a = a || '%d'" % i)
        self.older = box.path("older.checkpoint")
        shutil.copy(self.audited.path + ".checkpoint", self.older)
        self.older_lines = self.lines()
        self.audited.once()
        self.log = self.audited.matches()
        self.kept = box.path("kept.checkpoint")
        shutil.copy(self.audited.path + ".checkpoint", self.kept)
        self.key = self.audited.key()
        with open(self.audited.path, "rb") as file:
            self.bytes = file.read()

    def lines(self):
        with open(self.audited.path, "rb") as file:
            return file.read().splitlines(keepends=True)

    def verify(self, content, *args, code):
        path = self.box.path("copy.audit")
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else b"".join(content))
        result = self.box.run("audit", "verify", path, "--json", *args)
        expect(result.code == code, "%s", result)
        report = json.loads(result.out)
        expect(report["sound"] == (code == 0), "%s", report)
        return [(f["finding"], f["first"], f["last"]) for f in report["findings"]]

    def row(self):
        """The number of a line of a changed row, before the last heads."""
        return self.log.of("update")[3]["n"]


def check_sound(t):
    expect(not t.verify(t.bytes, "--key", t.key, "--checkpoint", t.kept, "--checkpoint",
                        t.older, code=0), "findings")


def ways_to_change(t):
    """(name, lines, findings)"""
    n = t.row()
    lines = t.lines()

    def change(number, old, new):
        changed = list(lines)
        expect(old in changed[number], "%r", changed[number])
        changed[number] = changed[number].replace(old, new, 1)
        return changed
    head = next(line["n"] for line in t.log.of("checkpoint") if line["n"] > n)
    start = max([line["n"] for line in t.log.of("checkpoint") if line["n"] < n]) + 1
    altered = ("altered", start, head - 1)
    yield "a digit", change(n, b'"id":', b'"id":1'), [altered]
    yield "a time", change(n, b'"time":"20', b'"time":"19'), [altered]
    yield "a CR", change(n, b"}\n", b"}\r\n"), [altered]
    yield "a space", change(n, b'"op":', b'"op": '), [altered]
    yield "a salt", change(n, b'"salt":"', b'"salt":"AAAA'), [altered]
    yield "removed", lines[:n] + lines[n + 1:], [("missing", n, n)]
    yield "inserted", lines[:n] + [lines[n]] + lines[n:], [("inserted", n + 1, n + 1)]
    yield "exchanged", (lines[:n] + [lines[n + 1], lines[n]] + lines[n + 2:]), [
        ("missing", n, n), ("inserted", n + 1, n + 1)]
    yield "the first one", lines[1:], [("no audit log", 0, 0)]
    yield "an empty line", lines[:n] + [b"\n"] + lines[n:], [("inserted", n, n)]
    yield "torn", lines[:-1] + [lines[-1][:40]], [("torn", len(lines) - 1,
                                                   len(lines) - 1)]
    note = t.log.lines[head]["note"]
    signature = note.split("\n\n")[1].split(" ")[2].strip()
    other = base64.b64encode(bytes(reversed(base64.b64decode(signature)))).decode()
    yield "a signature", change(head, signature.encode(), other.encode()), [
        ("forged head", head, head)]
    root = note.split("\n")[2]
    yield "a root", change(head, root.encode(), b"A" * 43 + b"="), [
        ("forged head", head, head)]
    yield "a size", change(head, b"\\n%d\\n" % head, b"\\n%d\\n" % (head - 1)), [
        ("forged head", head, head)]
    yield "no head", change(head, b'"op":"checkpoint"', b'"op":"chequepoint"'), None
    key = t.log.key.text.encode()
    yield "the key", change(0, key, key[:-8] + b"AAAAAAA="), None


def test_what_is_changed_is_found(box):
    t = Tampered(box)
    check_sound(t)
    found = 0
    for name, lines, expected in ways_to_change(t):
        findings = t.verify(lines, "--key", t.key, code=1)
        expect(findings, "%s: nothing", name)
        for finding in expected or []:
            expect(finding in findings, "%s: %s", name, findings)
        expect(t.verify(lines, code=1), "%s: nothing without a key", name)
        found += 1
    return 1 + found


def test_what_a_head_elsewhere_alone_can_tell(box):
    """Cut back to an older head; all made anew with the stolen key."""
    t = Tampered(box)
    cut = t.older_lines
    expect(not t.verify(cut, "--key", t.key, code=0), "cut at a head")
    expect(not t.verify(cut, "--key", t.key, "--checkpoint", t.older, code=0), "older")
    findings = t.verify(cut, "--key", t.key, "--checkpoint", t.kept, code=1)
    expect(findings == [("shortened", len(cut), t.log.signed - 1)], "%s", findings)

    remade = remake(box, t)
    expect(not t.verify(remade, "--key", t.key, code=0), "remade with the key")
    findings = t.verify(remade, "--key", t.key, "--checkpoint", t.kept, code=1)
    expect(findings == [("remade", 0, t.log.signed - 1)], "%s", findings)


def sign(box, secret, text):
    """A signature of Ed25519, by openssl."""
    box.need_tool("openssl")
    files = [box.path("sign-" + part) for part in ("key", "text")]
    der = bytes.fromhex("302e020100300506032b657004220420") + secret
    content = text if isinstance(text, bytes) else text.encode()
    for path, content in zip(files, (der, content)):
        with open(path, "wb") as file:
            file.write(content)
    return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER",
                           "-inkey", files[0], "-in", files[1]],
                          stdout=subprocess.PIPE, check=True).stdout


def remake(box, t):
    """The log without one of its events, with all heads made anew by the real key."""
    with open(os.path.join(t.audited.state, "audit-key")) as file:
        secret = base64.b64decode(file.readline().split("+", 4)[4])[1:]
    tree, lines = Tree(), []
    for line in t.log.lines[:t.row()] + t.log.lines[t.row() + 1:]:
        line["n"] = tree.count
        if line["op"] == "checkpoint":
            text = "%s\n%d\n%s\n" % (t.log.key.name, tree.count,
                                     base64.b64encode(tree.root()).decode())
            signature = bytes.fromhex(t.log.key.id) + sign(box, secret, text)
            line["note"] = "%s\n\u2014 %s %s\n" % (
                text, t.log.key.name, base64.b64encode(signature).decode())
        raw = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()
        tree.add(raw)
        lines.append(raw + b"\n")
    return lines


def test_lines_behind_the_last_head_are_said_to_be_unsigned(box):
    t = Tampered(box)
    more = t.bytes + b'{"n":%d,"time":"2026-11-07T13:37:55.200Z","op":"x"}\n' % len(
        t.lines())
    path = box.path("copy.audit")
    with open(path, "wb") as file:
        file.write(more)
    result = box.run("audit", "verify", path)
    expect(result.code == 0 and b"1 at the end are not signed yet" in result.out, "%s",
           result)


def refused(audited, text, code=1):
    """The start ends with one line, and the log is as it was."""
    with open(audited.path, "rb") as file:
        before = file.read()
    result = audited.once(code=code)
    expect(text in result.error_lines[-1] and "--accept-gap" in result.error_lines[-1],
           "%s", result)
    with open(audited.path, "rb") as file:
        expect(file.read() == before, "something was appended")


def accepted(audited, why):
    """With --accept-gap it goes on, tells of it, and later starts go on as ever."""
    audited.once("--accept-gap")
    audited.once()
    with open(audited.path, "rb") as file:
        lines = [json.loads(line) for line in file.read().splitlines()]
    gaps = [line["why"] for line in lines if line["op"] == "gap"]
    expect(any(why in gap for gap in gaps), "%s", gaps)
    expect([line["op"] for line in lines[-2:]] == ["stop", "checkpoint"], "%s",
           lines[-2:])
    return lines


def test_a_start_refuses_a_log_that_was_altered(box):
    t = Tampered(box)
    n = t.row()
    lines = t.lines()
    lines[n] = lines[n].replace(b'"id":', b'"id":7')
    with open(t.audited.path, "wb") as file:
        file.write(b"".join(lines))
    refused(t.audited, "is not what was written: of lines")
    accepted(t.audited, "of lines")
    findings = t.verify(b"".join(t.lines()), "--key", t.key, code=1)
    expect(findings[0][0] == "altered", "%s", findings)


def test_a_start_refuses_a_last_head_that_was_altered(box):
    """Its line is signed by the next one only, and has the position."""
    t = Tampered(box)
    lines = t.lines()
    for old, new in ((b'"messages":0', b'"messages":9'), (b'"time":"20', b'"time":"21')):
        changed = lines[:-1] + [lines[-1].replace(old, new)]
        expect(changed[-1] != lines[-1], "%r", lines[-1])
        with open(t.audited.path, "wb") as file:
            file.write(b"".join(changed))
        refused(t.audited, "some were altered")
    with open(t.audited.path, "wb") as file:
        file.write(b"".join(lines[:-1]))
    refused(t.audited, "it was shortened")
    with open(t.audited.path, "wb") as file:
        file.write(b"".join(lines))
    t.audited.once()
    t.audited.matches()


def test_a_start_refuses_a_log_that_was_shortened(box):
    t = Tampered(box)
    with open(t.audited.path, "wb") as file:
        file.write(b"".join(t.older_lines))
    refused(t.audited, "it was shortened: %d lines of %d are there" % (
        len(t.older_lines), len(t.log.lines)))
    accepted(t.audited, "it was shortened")
    findings = t.verify(b"".join(t.lines()), "--key", t.key, "--checkpoint", t.kept,
                        code=1)
    expect(findings[0][0] == "remade", "%s", findings)


def test_a_start_refuses_a_log_that_is_gone(box):
    t = Tampered(box)
    remove(t.audited.path)
    result = t.audited.once(code=1)
    expect("is not there or empty" in result.error_lines[-1], "%s", result)
    expect(not os.path.exists(t.audited.path), "a file was made in its place")
    with open(t.audited.path, "wb"):
        pass
    refused(t.audited, "is not there or empty")
    accepted(t.audited, "is gone")


def test_a_start_refuses_what_is_no_log(box):
    """And leaves it as it is, also with --accept-gap."""
    _, path = box.database(TABLE)
    for content in (b"something else\n", b"no end", b"{\"n\":1,", b"\0" * 5000,
                    b'{"n":0,"time":"2026-11-07T13:37:55.200Z","txn":1}\n'):
        audited = Audited(box, path)
        with open(audited.path, "wb") as file:
            file.write(content)
        for more in ((), ("--accept-gap",)):
            result = audited.once(*more, code=2)
            expect("is no audit log" in result.error_lines[-1], "%s", result)
            with open(audited.path, "rb") as file:
                expect(file.read() == content, "%r was written to", content)


def test_a_first_line_that_a_crash_cut_short_is_written_again(box):
    _, path = box.database(TABLE)
    audited = Audited(box, path)
    with open(audited.path, "wb") as file:
        file.write(b'{"n":0,"time":"2026-11')
    os.chmod(audited.path, 0o600)
    audited.once()
    audited.matches()


def test_a_state_directory_that_is_lost(box):
    """Another one does not go on by itself; with --accept-gap a new key does."""
    t = Tampered(box)
    shutil.rmtree(t.audited.state)
    refused(t.audited, "was written from another state directory", code=2)
    accepted(t.audited, "another state directory goes on")
    findings = t.verify(b"".join(t.lines()), "--key", t.key, code=1)
    expect([f[0] for f in findings] == ["other key"], "%s", findings)
    keys = box.run("audit", "key", t.audited.path).out.decode().split()
    expect(len(keys) == 2 and keys[0] == t.key, "%s", keys)


def test_a_key_that_is_lost(box):
    t = Tampered(box)
    os.remove(os.path.join(t.audited.state, "audit-key"))
    refused(t.audited, "audit-key", code=2)
    t.audited.once("--accept-gap")
    t.audited.once()
    keys = Log(box, t.audited.path).of("key")
    expect(len(keys) == 1 and not keys[0]["handed_over"], "%s", keys)


def test_an_older_state_directory_is_refused(box):
    """As from a backup: its history does not lead to where the log is."""
    writer, path = box.database(TABLE, many(1, 5))
    audited = Audited(box, path)
    audited.once()
    shutil.copytree(audited.state, audited.state + "-older")
    writer.sql("c", "UPDATE t SET a = 'new'")
    audited.once()
    audited.matches()
    shutil.rmtree(audited.state)
    os.rename(audited.state + "-older", audited.state)
    refused(audited, "is older than", code=2)
    audited.once("--accept-gap")
    audited.heads.check(Log(box, audited.path))     # none of them disagrees


def test_an_older_position_is_harmless(box):
    """The position alone is older, as after a power cut: the log knows better."""
    writer, path = box.database(TABLE, many(1, 5))
    audited = Audited(box, path)
    audited.once()
    position = os.path.join(audited.state, "position")
    with open(position, "rb") as file:
        older = file.read()
    tail = audited.start()
    for i in range(5):
        writer.sql("c", "UPDATE t SET a = 'new %d'" % i)
    box.wait_until(lambda: b"new 4" in open(audited.path, "rb").read())
    tail.process.send_signal(signal.SIGKILL)
    tail.wait_exit(20)
    audited.heads.take_file(audited.path)
    with open(position, "r+b") as file:
        file.write(older)
    audited.once()
    audited.matches()


def test_two_runs_do_not_write_one_log(box):
    writer, path = box.database(TABLE, many(1, 5))
    audited = Audited(box, path)
    tail = audited.start()
    other = box.path("other.db")
    writer.open("d", other, pragmas=["PRAGMA journal_mode=WAL"])
    writer.sql("d", TABLE)
    result = box.run(other, "--to", "audit:" + audited.path, "--state",
                     box.path("state-2"), "--once")
    expect(result.code == 2 and b"another process is writing it" in result.err, "%s",
           result)
    result = audited.verify()
    expect(b"checkpoints are right" in result.out, "%s", result)
    box.stop(tail)
    audited.matches()


def test_a_lock_of_a_moment_is_waited_for(box):
    """rowtail audit verify holds the lock to see who writes; a start gives way."""
    _, path = box.database(TABLE)
    audited = Audited(box, path)
    audited.once()
    with open(audited.path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        tail = audited.start(wait=False)
        box.wait_until(lambda: is_open(tail.process.pid, audited.path), timeout=20)
        fcntl.flock(file, fcntl.LOCK_UN)
    box.wait_until(lambda: tail.following.is_set() or
                   tail.process.poll() is not None, timeout=20)
    box.stop(tail)


def is_open(pid, path):
    folder = "/proc/%d/fd" % pid
    for name in os.listdir(folder):
        try:
            if os.path.samefile(os.path.join(folder, name), path):
                return True
        except OSError:
            pass
    return False


def alter_behind_a_gap(box, alter):
    """What is altered behind an accepted gap is found, and nothing that a run wrote is
    called inserted or missing."""
    t = Tampered(box)
    lines = list(t.log.raw)
    alter(lines)
    write_lines(t.audited.path, lines)
    t.audited.once(code=1)
    t.audited.once("--accept-gap")
    for i in range(2):
        t.writer.sql("c", "UPDATE t SET a = 'later %d'" % i)
        t.audited.once()
    with open(t.audited.path, "rb") as file:
        lines = file.read()[:-1].split(b"\n")
    at = next(i for i, line in enumerate(lines) if b'"op":"gap"' in line)
    content = b"\n".join(lines) + b"\n"
    known = t.verify(content, code=1)
    expect(all(first < at for _, first, _ in known), "%s", known)
    later = next(i for i in range(at, len(lines)) if b"later 0" in lines[i])
    new = [f for f in t.verify(content.replace(b"later 0", b"later 9", 1), code=1)
           if f not in known]
    expect(len(new) == 1 and new[0][0] == "altered" and new[0][1] <= later <= new[0][2],
           "line %d: %s", later, new)


def test_what_is_altered_behind_lines_that_are_gone(box):
    alter_behind_a_gap(box, lambda lines: lines.__delitem__(slice(3, 6)))


def test_what_is_altered_behind_lines_that_were_added(box):
    alter_behind_a_gap(box, lambda lines: lines.__setitem__(slice(3, 3), lines[2:3] * 3))


def write_lines(path, lines):
    with open(path, "wb") as file:
        file.write(b"\n".join(lines) + b"\n")


def test_a_head_of_each_key_that_signed_is_the_logs(box):
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path)
    kept = []
    for i in range(3):
        audited.once(*(["--accept-gap"] if i else []))
        kept += ["--checkpoint", box.path("kept-%d" % i)]
        shutil.copy(audited.path + ".checkpoint", kept[-1])
        os.remove(os.path.join(audited.state, "audit-key"))
    result = audited.verify(*kept, "--json", code=1)
    found = json.loads(result.out)
    expect([f["finding"] for f in found["findings"]] == ["other key"] * 2, "%s", found)
    expect([g["why"][:26] for g in found["gaps"]] == ["the key that signed is los"] * 2,
           "%s", found)
    expect(b"is not signed with the key" not in result.err, "%s", result)
    keys = box.run("audit", "key", audited.path).out.decode()
    expect(len(keys.split()) == 3, "%s", keys)
    audited.verify(*kept, "--key", keys)
    for some in (keys.split()[:2], keys.split()[1:]):
        audited.verify("--key", "\n".join(some), code=1)


def test_a_line_of_any_length_is_read_and_not_held(box):
    """Also one without an end, as a disk leaves it."""
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path)
    writer.sql("c", "INSERT INTO t VALUES (9, printf('%.*c', 5000000, 'x'))")
    audited.once()
    log = audited.matches()
    audited.verify()
    result = box.run("audit", "cat", audited.path)
    expect(result.out == b"\n".join(log.raw) + b"\n", "cat gives other lines")
    size = os.path.getsize(audited.path)
    is_plain = not box.options.wrapper and box.slow == 1    # no sanitizer
    hole = 400 << 20 if is_plain else 50 << 20
    os.truncate(audited.path, size + hole)

    def limit():
        if is_plain:
            resource.setrlimit(resource.RLIMIT_DATA, (200 << 20, 200 << 20))
    for end, code in ((b"", 1), (b"\n", 1)):
        with open(audited.path, "ab") as file:
            file.write(end)
        result = box.run("audit", "verify", audited.path, preexec=limit, timeout=60)
        expect(result.code == code and
               (b"inserted" if end else b"torn") in result.out, "%s", result)
    os.truncate(audited.path, size + hole)
    audited.once()
    audited.matches()


def test_heads_come_through_a_pipe_and_a_path_is_any_bytes(box):
    t = Tampered(box)
    path = box.path("copy-\udcff.audit")          # the byte FF
    shutil.copy(t.audited.path, path)
    read_end, write_end = os.pipe()
    with open(t.kept, "rb") as file:
        os.write(write_end, file.read())
    os.close(write_end)
    result = box.run("audit", "verify", path, "--json", "--checkpoint",
                     "/proc/%d/fd/%d" % (os.getpid(), read_end))
    os.close(read_end)
    expect(result.code == 0 and json.loads(result.out)["log"].endswith("copy-?.audit"),
           "%s", result)


def test_keys_are_told_where_there_are_some(box):
    """A line or a file that has none gives none, on either command."""
    t = Tampered(box)
    number = t.bytes.count(b"\n")
    line = b'{"n":%d,"time":"2026-11-07T13:37:55.200Z","op":"key","key":%%s}\n' % number
    for key in (b"{}", b'"a+b+c"', b"[" * 3000):
        with open(t.audited.path, "wb") as file:
            file.write(t.bytes + line % key)
        expect(t.audited.key() and box.run("audit", "key", t.audited.path).out.decode() ==
               t.key + "\n", "%s", key)
    with open(t.audited.path, "wb") as file:
        file.write((line % b'"a+b+c"').replace(b'"n":%d' % number, b'"n":0').replace(
            b'"op":"key"', b'"op":"file"'))
    result = t.audited.verify("--json", code=1)
    expect(json.loads(result.out)["key"] == "", "%s", result)
    expect(box.run("audit", "key", t.audited.path).code == 2, "a key")

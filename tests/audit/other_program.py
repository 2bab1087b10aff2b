"""A verifier in another language, of other people's parts: golang.org/x/mod's note and
tlog (tests/audit/verifier, make audit-verifier)."""

import os
import shutil
import subprocess

from audit.log import Audited, TABLE, Turned, many
from audit.tamper import Tampered, ways_to_change
from harness.audit import read_file
from harness.box import NotRun, TESTS, expect

PROGRAM = os.path.join(os.path.dirname(TESTS), "build", "audit", "verifier")


def run_program(*words, code=0):
    if not os.access(PROGRAM, os.X_OK):
        raise NotRun("build/audit/verifier is not built: make audit-verifier")
    done = subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    expect(done.returncode == code, "verifier: exit %d\n%s%s", done.returncode,
           done.stdout.decode(), done.stderr.decode())
    return done.stdout.decode()


def run(key, path, *checkpoints, code=0):
    return run_program(key, path, *checkpoints, code=code)


def test_it_agrees_with_every_line_and_head(box):
    writer, path = box.database(TABLE, many(1, 500))
    audited = Audited(box, path)
    kept = []
    for i in range(4):
        audited.once()
        kept.append(box.path("kept-%d" % i))
        shutil.copy(audited.path + ".checkpoint", kept[-1])
        writer.sql("c", "UPDATE t SET a = a || '%d' WHERE id %% %d = 0" % (i, i + 2))
    said = run(audited.key(), audited.path, *kept)
    expect(said.endswith(" heads\n"), "%s", said)


def unpacked(box, turned):
    """The files of a log, separated by commas."""
    names = []
    for first, name in turned.files():
        names.append(box.path("plain-%d" % first))
        with open(names[-1], "wb") as file:
            file.write(read_file(name))
    return names


def test_it_agrees_with_every_file_of_a_log(box):
    turned = Turned(box, files=4)
    names = unpacked(box, turned)
    key = turned.keys()[0]
    said = run(key, ",".join(names), turned.path + ".checkpoint")
    expect(said.startswith("%d lines" % turned.log().tree.count), "%s", said)
    run(key, ",".join(names[:2] + names[3:]), code=1)
    run(turned.keys()[1], ",".join(names), code=1)
    with open(names[2], "rb") as file:
        data = file.read()
    for old, new in ((b'"handed_over":true,"note":"row', b'"handed_over":true,"note":"raw'),
                     (b'"frontier":["', b'"frontier":["A'), (b'"txn":', b'"txm":')):
        expect(old in data, "%r", old)
        with open(names[2], "wb") as file:
            file.write(data.replace(old, new, 1))
        run(key, ",".join(names), code=1)


def test_it_finds_what_audit_verify_finds(box):
    t = Tampered(box)
    run(t.key, t.audited.path, t.kept, t.older)
    path = box.path("copy.audit")
    count = 0
    for _, lines, _ in ways_to_change(t):
        with open(path, "wb") as file:
            file.write(b"".join(lines))
        run(t.key, path, t.kept, code=1)
        count += 1
    with open(path, "wb") as file:
        file.write(b"".join(t.older_lines))
    run(t.key, path, t.older)
    run(t.key, path, t.kept, code=1)
    return count

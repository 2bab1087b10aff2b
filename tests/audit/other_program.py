"""A verifier in another language, of other people's parts: golang.org/x/mod's note and
tlog (tests/audit/verifier, make audit-verifier)."""

import os
import shutil
import subprocess

from audit.log import Audited, TABLE, many
from audit.tamper import Tampered, ways_to_change
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

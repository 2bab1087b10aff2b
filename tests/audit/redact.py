"""rowtail audit redact: nobody can read the line any more, and all else is as proven as it
was."""

import base64
import glob
import json
import os
import shutil
import subprocess

from audit.log import Audited, TABLE, Turned, many, newest
from audit.other_program import run, unpacked
from audit.proofs import root_of_line, take_apart
from harness.audit import files_of, head_of, leaf_hash, read_file
from harness.box import expect, use_faults

WHY = "Art. 17 \u2013 \"she asked\""


def redact(turned, *words, code=0, why=("--why", WHY), state=True, env=None):
    result = turned.box.run("audit", "redact", turned.path, *words, *why, "--by", "dpo",
                            *(("--state", turned.state) if state else ()), timeout=60,
                            env=env)
    expect(result.code == code, "%s: %s", words, result)
    return result


def everything(turned):
    """All bytes of all files of the log."""
    return b"".join(read_file(name) for _, name in turned.files())


def test_a_row_is_taken_out_of_all_files(box):
    turned = Turned(box)
    before = turned.log()
    kept = [line for line in before.lines if line["op"] == "checkpoint"][-1]
    gone = [line["n"] for line in before.lines if line.get("key") == {"id": 1}]
    expect(len(gone) > 1 and b'"x1"' in everything(turned), "%s", gone)
    redact(turned, "--table", "t", "--key", "1")
    after = turned.log()
    turned.heads.check(after)
    expect(after.redacted == gone, "%s, not %s", after.redacted, gone)
    expect(b'"x1"' not in everything(turned) and b'"key":{"id":1}' not in
           everything(turned), "the row is there")
    told = after.of("redaction")
    expect(len(told) == 1 and told[0]["by"] == "dpo" and told[0]["why"] == WHY, "%s", told)
    for old, new in zip(before.raw, after.raw):     # all else is as it was
        number = json.loads(old)["n"]
        expect(old == new or number in gone, "line %d is another", number)
    turned.verify("--key", turned.keys()[0])
    with open(box.path("kept"), "w", encoding="utf-8") as file:
        file.write(kept["note"])
    result = turned.verify("--json", "--checkpoint", box.path("kept"))
    said = json.loads(result.out)
    expect(said["redacted"] == len(gone) and said["redactions"][0]["why"] == WHY, "%s",
           said)
    result = box.run("audit", "history", turned.path, "t", "1")
    expect(result.code == 1, "%s", result)
    redact(turned, "--table", "t", "--key", "1", code=1)    # it is told of nowhere
    # The log goes on, and files stay as they were: closed ones compressed.
    turned.writer.sql("c", "UPDATE t SET a = 'later' WHERE id = 2")
    turned.once()
    log = turned.log()
    expect(not log.of("gap"), "%s", log.of("gap"))
    expect(os.path.samefile(turned.path, newest(turned.path)), "PATH")
    turned.verify()


def test_lines_by_their_numbers_and_proofs_of_them(box):
    turned = Turned(box, "-D", "audit.compress=false")
    rows = [line["n"] for line in turned.log().of("read", "update")]
    asked = rows[:3] + rows[-1:]
    redact(turned, "--seq", ",".join([str(asked[0]), "%d-%d" % (asked[1], asked[2]),
                                      str(asked[3])]))
    log = turned.log()
    expect(log.redacted == asked, "%s, not %s", log.redacted, asked)
    expect(box.run("audit", "redact", turned.path, "--seq", str(asked[0]), "--why", "x",
                   "--state", turned.state).code == 0, "once more")
    for n in asked + [0, log.signed - 1]:
        proof = box.run("audit", "prove", turned.path, str(n))
        expect(proof.code == 0, "%s", proof)
        _, hashes, note = take_apart(proof.out.decode(), "c2sp.org/tlog-proof@v1",
                                     "index ")
        _, size, root = head_of(note)
        expect(root_of_line(n, size, leaf_hash(log.raw[n]), hashes) == root, "line %d", n)
    turned.verify()


def test_lines_that_somebody_took_out_are_found(box):
    """With no word of it, or one that nobody signed."""
    turned = Turned(box, "-D", "audit.compress=false")
    log = turned.log()
    n = log.of("update")[0]["n"]
    name = [name for first, name in turned.files() if first <= n][-1]
    first = int(name[-12:])
    lines = read_file(name).split(b"\n")
    lines[n - first] = b'{"n":%d,"op":"redacted","leaf":"%s"}' % (
        n, base64.b64encode(leaf_hash(lines[n - first])))
    turned.write(name, b"\n".join(lines))
    expect(turned.found() == [("taken out", n, n)], "%s", turned.found())
    with open(newest(turned.path), "ab") as file:
        file.write(b'{"n":%d,"time":"2026-11-07T13:37:55.200Z","op":"redaction","by":"x",'
                   b'"why":"y","lines":[[0,99]]}\n' % log.tree.count)
    expect(turned.found() == [("taken out", n, n)], "%s", turned.found())


def test_what_cannot_be_taken_out(box):
    turned = Turned(box)
    content = everything(turned)
    for words, how, text in (
            (("--seq", "0"), {}, "tells of the log itself"),
            (("--seq", "0-9999"), {}, "tells of the log itself"),
            (("--seq", "9999"), {"code": 1}, "has no such lines"),
            (("--table", "t", "--key", "77"), {"code": 1}, "has no such lines"),
            (("--table", "t"), {}, "needs both"), (("--key", "1"), {}, "needs both"),
            ((), {}, "no lines given"), (("--seq", "5-1"), {}, "--seq"),
            (("--seq", "1,"), {}, "--seq"), (("--seq", "x"), {}, "--seq"),
            (("--seq", "5"), {"why": ()}, "--why"),
            (("--seq", "5"), {"state": False}, "--state"),
            (("--seq", "5", "--value", "x"), {}, "--value")):
        result = redact(turned, *words, **{"code": 2, **how})
        expect(text in result.error_lines[-1] and len(result.error_lines) == 1, "%s: %s",
               words, result)
    n = turned.log().of("update")[0]["n"]
    tail = turned.start()
    result = redact(turned, "--seq", str(n), code=2)
    expect("another process is writing it" in result.error_lines[-1], "%s", result)
    box.stop(tail)
    state, turned.state = turned.state, box.path("no-state")
    redact(turned, "--seq", str(n), code=1)
    os.mkdir(turned.state)
    result = redact(turned, "--seq", str(n), code=2)
    expect("no audit-key" in result.error_lines[-1], "%s", result)
    turned.state = state
    with open(newest(turned.path), "ab") as file:
        file.write(b'{"n":')
    result = redact(turned, "--seq", str(n), code=2)
    expect("does not end with a checkpoint" in result.error_lines[-1], "%s", result)
    expect(everything(turned).startswith(content), "something was written")
    turned.once()
    redact(turned, "--seq", str(n))
    turned.log()


def test_an_altered_log_is_left_as_it_is(box):
    turned = Turned(box)
    n = turned.log().of("update")[0]["n"]
    turned.replace(2, b'"txn":', b'"txm":')
    content = everything(turned)
    result = redact(turned, "--seq", str(n), code=1)
    expect("is not what was written" in result.error_lines[-1], "%s", result)
    expect(everything(turned) == content, "it was written to")


def test_killed_in_the_middle_it_is_done_again(box):
    use_faults(box)
    kills = 0
    for name in ("audit-next-made", "audit-turned", "audit-redaction-told",
                 "audit-head-synced", "audit-redacted"):
        turned = Turned(box, files=2)
        n = turned.log().of("update")[-1]["n"]
        redact(turned, "--seq", str(n), code=-9, env=dict(
            os.environ, ROWTAIL_KILL=name + ":1"))
        turned.heads.take_file(turned.path)
        turned.once()
        turned.heads.check(turned.log())
        redact(turned, "--seq", str(n))
        log = turned.log()
        turned.heads.check(log)
        expect(log.redacted == [n], "%s", log.redacted)
        turned.verify()
        kills += 1
        turned.writer.close()
        for path in glob.glob(box.path("*")):       # the next one begins anew
            (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
    return kills


def test_the_other_program_agrees_with_what_is_left(box):
    turned = Turned(box)
    redact(turned, "--table", "t", "--key", "1")
    names = unpacked(box, turned)
    run(turned.keys()[0], ",".join(names))
    with open(names[-1], "rb") as file:
        data = file.read()
    expect(data.count(b'"op":"redaction"') == 1, "no redaction")
    with open(names[-1], "wb") as file:             # the lines of it and all behind
        file.write(data[:data.index(b'{"n":', data.index(b'"op":"redaction"') - 60)])
    run(turned.keys()[0], ",".join(names), code=1)


def test_thousands_of_lines(box):
    writer, path = box.database(TABLE, many(1, 5000))
    audited = Audited(box, path)
    audited.once()
    numbers = [line["n"] for line in audited.log(signatures="last").of("read")][::2]
    redact(audited, "--seq", ",".join(map(str, numbers)))
    log = audited.log(signatures="last")
    expect(log.redacted == numbers and len(log.of("redaction")) == 5, "%d", len(
        log.of("redaction")))
    audited.verify()


def test_what_compressing_left_is_taken_out_too(box):
    """Both forms of a file, as a kill may leave them."""
    turned = Turned(box, "-D", "audit.compress=false")
    name = turned.files()[0][1]
    for suffix in (".zst", ".zst.tmp"):
        subprocess.run(["zstd", "-q", name, "-o", name + suffix], check=True)
    redact(turned, "--table", "t", "--key", "1")
    expect(not os.path.exists(name + ".zst") and not os.path.exists(name + ".zst.tmp"),
           "the row is in what is left")
    turned.log()


def test_a_reason_that_is_too_long_for_a_line(box):
    turned = Turned(box, files=1)
    n = turned.log().of("update")[0]["n"]
    result = redact(turned, "--seq", str(n), code=2, why=("--why", "x" * 5000))
    expect("must be shorter" in result.error_lines[-1], "%s", result)
    redact(turned, "--seq", str(n), why=("--why", "\u20ac" * 1300))
    turned.verify()

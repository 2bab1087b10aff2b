"""rowtail audit prove and consistency: proofs for somebody who has not the log, checked by
Python's own library and openssl, and by a program on golang.org/x/mod."""

import base64
import hashlib
import os
import re
import shutil
import subprocess

from audit.log import Audited, TABLE, Turned, many
from audit.other_program import run_program
from audit.tamper import Tampered, remake, ways_to_change
from harness.audit import Key, Tree, head_of, leaf_hash
from harness.box import TESTS, expect


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of_line(n, size, leaf, proof):
    """RFC 9162, 2.1.3.2; None: the proof is not of that length."""
    fn, sn, root = n, size - 1, leaf
    for part in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            root = node(part, root)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node(root, part)
        fn, sn = fn >> 1, sn >> 1
    return root if sn == 0 else None


def is_consistent(old, old_root, size, root, proof):
    """RFC 9162, 2.1.4.2, and tlog-witness for an old size of 0 and of the same size."""
    if old == 0 or old == size:
        return not proof and (old == 0 or old_root == root)
    if old & (old - 1) == 0:
        proof = [old_root] + proof
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    if not proof:
        return False
    fr = sr = proof[0]
    for part in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(part, fr), node(part, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, part)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == root


def take_apart(text, *first):
    """(what the first lines say, the hashes, the note)"""
    head, note = text.split("\n\n", 1)
    lines = head.split("\n")
    said = []
    for word in first:
        line = lines.pop(0)
        expect(line.startswith(word), "%r is not %s…", line, word)
        said.append(line[len(word):])
    hashes = [base64.b64decode(line, validate=True) for line in lines]
    expect(all(len(h) == 32 for h in hashes) and len(hashes) < 64, "%s", text)
    return said, hashes, note


class Proven:
    def __init__(self, box, starts=3, rows=40):
        self.box = box
        writer, path = box.database(TABLE, many(1, rows))
        self.audited = Audited(box, path)
        self.kept = []
        for i in range(starts):
            self.audited.once()
            self.kept.append(box.path("kept-%d" % i))
            shutil.copy(self.audited.path + ".checkpoint", self.kept[-1])
            writer.sql("c", "UPDATE t SET a = a || '%d' WHERE id %% %d = 0" % (i, i + 2))
        self.audited.once()
        self.log = self.audited.log(signatures="last")
        self.key = Key(self.audited.key())

    def ask(self, *words, code=0, path=None):
        action, *words = words
        result = self.box.run("audit", action, path or self.audited.path, *words)
        expect(result.code == code, "%s: %s", words, result)
        expect(code == 0 or (not result.out and len(result.error_lines) == 1), "%s",
               result)
        return result.out.decode()

    def proof(self, n, **how):
        text = self.ask("prove", str(n), **how)
        (_, index), hashes, note = take_apart(text, "c2sp.org/tlog-proof@v1", "index ")
        expect(index == str(n), "%s", text)
        _, size, root = head_of(note)
        return text, size, root, hashes, note

    def growth(self, old, **how):
        text = self.ask("consistency", "--from", str(old), **how)
        (index,), hashes, note = take_apart(text, "old ")
        expect(index == str(old), "%s", text)
        _, size, root = head_of(note)
        return text, size, root, hashes, note


def test_every_line_is_proven(box):
    proven = Proven(box, rows=15)
    newest = proven.log.signed
    for n in range(newest):
        _, size, root, hashes, note = proven.proof(n)
        expect(size == newest and root == proven.log.heads[size], "another head")
        expect(root_of_line(n, size, leaf_hash(proven.log.raw[n]), hashes) == root,
               "line %d is not proven", n)
        expect(root_of_line(n, size, leaf_hash(proven.log.raw[n] + b" "), hashes) != root,
               "so is another line")
    with open(proven.audited.path + ".checkpoint", encoding="utf-8") as file:
        expect(file.read() == note, "not the newest checkpoint")
    proven.key.check(box, note)
    proven.ask("prove", str(newest), code=1)        # the head's own line
    proven.ask("prove", str(newest + 100), code=1)
    return newest


def test_a_log_goes_on_from_each_older_head(box):
    proven = Proven(box, rows=15)
    tree, roots = Tree(), []
    for raw in proven.log.raw:
        roots.append(tree.root())
        tree.add(raw)
    for old in range(proven.log.signed + 1):
        _, size, root, hashes, note = proven.growth(old)
        expect(size == proven.log.signed, "another head")
        expect(is_consistent(old, roots[old], size, root, hashes), "from %d", old)
        expect(old in (0, size) or
               not is_consistent(old, roots[old - 1], size, root, hashes), "from any")
    proven.key.check(box, note)
    proven.ask("consistency", "--from", str(proven.log.signed + 1), code=1)
    return proven.log.signed


def test_a_log_that_was_remade_is_not_consistent(box):
    """All made anew without a line, signed with the stolen key: a witness refuses it."""
    t = Tampered(box)
    path = box.path("remade.audit")
    with open(path, "wb") as file:
        content = remake(box, t)
        file.write(content if isinstance(content, bytes) else b"".join(content))
    with open(t.older, encoding="utf-8") as file:
        _, older, older_root = head_of(file.read())
    result = box.run("audit", "consistency", path, "--from", str(older))
    expect(result.code == 0, "%s", result)
    _, hashes, note = take_apart(result.out.decode(), "old ")
    _, size, root = head_of(note)
    expect(not is_consistent(older, older_root, size, root, hashes), "consistent")


def test_only_what_a_right_head_signs_is_proven(box):
    """However a log was changed: a proof that comes out is right for the log's lines."""
    t = Tampered(box)
    count = 0
    for name, lines, _ in ways_to_change(t):
        path = box.path("copy.audit")
        with open(path, "wb") as file:
            file.write(b"".join(lines))
        for n in (1, t.row()):
            result = box.run("audit", "prove", path, str(n))
            expect(result.code in (0, 1, 2), "%s: %s", name, result)
            if result.code == 0:
                _, hashes, note = take_apart(result.out.decode(),
                                             "c2sp.org/tlog-proof@v1", "index ")
                _, size, root = head_of(note)
                leaf = leaf_hash(lines[n].removesuffix(b"\n"))
                expect(root_of_line(n, size, leaf, hashes) == root, "%s", name)
                Key(t.key).check(box, note)
            else:
                expect(len(result.error_lines) == 1 and not result.out, "%s", result)
        count += 1
    return count


def test_usage_of_proofs(box):
    proven = Proven(box, starts=1, rows=3)
    for words in (("prove",), ("prove", "x"), ("prove", "-1"), ("prove", "01"),
                  ("prove", "1", "2"), ("prove", "1", "--json"), ("prove", "9" * 30),
                  ("consistency",), ("consistency", "--from", "first"),
                  ("consistency", "--from", "-1"), ("consistency", "--from", "1", "2"),
                  ("consistency", "--from", "1", "--csv")):
        proven.ask(*words, code=2)
    proven.ask("prove", "1", path=box.path("no"), code=2)
    expect(proven.proof(0)[1] == proven.log.signed, "0")


def test_the_other_program_agrees(box):
    proven = Proven(box)
    line, proof = box.path("line"), box.path("line.tlog-proof")
    for n in list(range(0, proven.log.signed, 7)) + [proven.log.signed - 1]:
        for path, content in ((line, proven.log.raw[n]),
                              (proof, proven.proof(n)[0].encode())):
            with open(path, "wb") as file:
                file.write(content)
        run_program("prove", proven.key.text, line, proof)
    with open(line, "ab") as file:
        file.write(b"\r")
    run_program("prove", proven.key.text, line, proof, code=1)
    body = box.path("body")
    for kept in proven.kept:
        with open(kept, encoding="utf-8") as file:
            _, old, _ = head_of(file.read())
        with open(body, "w", encoding="utf-8") as file:
            file.write(proven.growth(old)[0])
        run_program("witness", proven.key.text, kept, body)
    with open(body, "w", encoding="utf-8") as file:
        file.write(proven.growth(old - 1)[0])
    run_program("witness", proven.key.text, kept, body, code=1)
    return len(proven.kept) + 3


def code_of(heading, number):
    """An indented block of docs/audit.md, the first is 0."""
    path = os.path.join(os.path.dirname(TESTS), "docs", "audit.md")
    with open(path, encoding="utf-8") as file:
        section = file.read().split(heading + "\n")[1].split("\n#")[0]
    blocks = re.findall(r"(?:^    .*\n)+", section, re.M)
    return re.sub("^    ", "", blocks[number], flags=re.M)


def test_what_the_documents_do_without_rowtail(box):
    """As they have it: a head by openssl, and the root of it by Python."""
    box.need_tool("openssl")
    turned = Turned(box)
    env = dict(os.environ, PATH=box.folder + ":" + os.environ["PATH"])
    os.symlink(os.path.realpath(box.options.rowtail), box.path("rowtail"))
    done = subprocess.run(["bash", "-ec", code_of("### Without rowtail", 0)], env=env,
                          cwd=box.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(done.returncode == 0 and b"Verified Successfully" in done.stdout, "%s",
           done.stdout)
    with open(box.path("all"), "wb") as out:
        out.write(box.run("audit", "cat", turned.path).out)
    with open(turned.path + ".checkpoint", encoding="utf-8") as file:
        _, size, root = head_of(file.read())
    found = {}
    text = code_of("### Without rowtail", 1)
    expect("[:13]" in text, "%s", text)
    here = os.getcwd()
    os.chdir(box.folder)
    try:
        exec(text.replace("[:13]", "[:%d]" % size), found)     # pylint: disable=W0122
    finally:
        os.chdir(here)
    expect(found["h"] == root, "another root")

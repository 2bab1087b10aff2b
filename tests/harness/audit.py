"""Audit logs, read by nobody else's program: the tree with Python's own library, heads
with the program openssl."""

import base64
import glob
import hashlib
import json
import os
import re
import subprocess

from .box import expect

PREFIX = bytes.fromhex("302a300506032b6570032100")     # of an Ed25519 key in DER


def leaf_hash(line):
    """Of one that was redacted what it says."""
    match = re.fullmatch(rb'\{"n":\d+,"op":"redacted","leaf":"([^"]*)"\}', line)
    if match:
        return base64.b64decode(match[1], validate=True)
    return hashlib.sha256(b"\0" + line).digest()


class Tree:
    """RFC 6962, one leaf after the other."""

    def __init__(self):
        self.count = 0
        self.stack = []

    def add(self, line):
        digest, count = leaf_hash(line), self.count
        while count & 1:
            digest = hashlib.sha256(b"\1" + self.stack.pop() + digest).digest()
            count >>= 1
        self.stack.append(digest)
        self.count += 1

    def root(self):
        if not self.stack:
            return hashlib.sha256(b"").digest()
        digest = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            digest = hashlib.sha256(b"\1" + left + digest).digest()
        return digest


class Key:
    def __init__(self, text):
        self.text = text
        self.name, self.id, data = text.split("+", 2)
        data = base64.b64decode(data, validate=True)
        expect(data[0] == 1 and len(data) == 33, "no Ed25519: %s", text)
        self.public = data[1:]
        full = hashlib.sha256(self.name.encode() + b"\n" + data).hexdigest()
        expect(full[:8] == self.id, "the key's id is not %s", full[:8])

    def check(self, box, note):
        """Is the note signed with it? By openssl."""
        text, signatures = note.split("\n\n")
        name, signature = signatures.rstrip("\n").removeprefix("\u2014 ").split(" ")
        data = base64.b64decode(signature, validate=True)
        expect(name == self.name and data[:4].hex() == self.id, "signed by %s", name)
        expect(len(data) == 68, "a signature of %d bytes", len(data))
        box.need_tool("openssl")
        files = [box.path("note-" + part) for part in ("text", "signature", "key")]
        for path, content in zip(files, ((text + "\n").encode(), data[4:],
                                         PREFIX + self.public)):
            with open(path, "wb") as file:
                file.write(content)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER",
             "-inkey", files[2], "-in", files[0], "-sigfile", files[1]],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        expect(done.returncode == 0, "openssl: %s\n%s", done.stdout, note)


def head_of(note):
    """(origin, size, root)"""
    origin, size, root = note.split("\n\n")[0].split("\n")
    return origin, int(size), base64.b64decode(root, validate=True)


def files_of(path):
    """[(first line, name)]: of two with the same number the plain one."""
    found = {}
    for name in sorted(glob.glob(glob.escape(path) + ".[0-9]*")):
        match = re.fullmatch(r"\.(\d{12,18})(\.zst)?", name[len(path):])
        if match:
            found.setdefault(int(match[1]), name)
    return sorted(found.items()) or [(0, path)]


def read_file(name):
    """Its bytes; those of a compressed one by the program zstd."""
    try:
        if not name.endswith(".zst"):
            with open(name, "rb") as file:
                return file.read()
    except FileNotFoundError:           # it was compressed in the meantime
        name += ".zst"
    return subprocess.run(["zstd", "-dcq", name], stdout=subprocess.PIPE,
                          check=True).stdout


class Log:
    """A log as it stands in its files; everything about it is checked."""

    def __init__(self, box, path, signatures="all"):
        self.raw, self.files = [], []   # lines; numbers of the first ones of files
        for first, name in files_of(path):
            data = read_file(name)
            expect(data.endswith(b"\n"), "%s ends in %r", name, data[-80:])
            self.files.append(first)
            self.raw += data[:-1].split(b"\n")
        self.first = self.files[0]      # line that is there
        self.lines = [json.loads(line) for line in self.raw]
        self.heads = {}                 # size: root
        self.key = None
        self.tree = Tree()
        heads = [line["n"] for line in self.lines if line["op"] == "checkpoint"]
        for n, (raw, line) in enumerate(zip(self.raw, self.lines), self.first):
            expect(line["n"] == n, "line %d has number %d", n, line["n"])
            if n in self.files:
                self.begin_file(box, n, line)
            elif line["op"] == "key":
                self.take_key(box, n, line)
            if line["op"] == "checkpoint":
                origin, size, root = head_of(line["note"])
                expect(origin == self.key.name and size == n and
                       root == self.tree.root(),
                       "the head in line %d is not of the lines before it", n)
                if signatures == "all" or n == heads[-1]:
                    self.key.check(box, line["note"])
                self.heads[size] = root
            self.tree.add(raw)
        self.signed = heads[-1] if heads else 0
        self.check_redactions()

    def check_redactions(self):
        """Each line that was taken out is one that a signed line tells of."""
        told = set()
        for line in self.of("redaction"):
            if line["n"] < self.signed:
                for first, last in line["lines"]:
                    told |= set(range(first, last + 1))
        self.redacted = [line["n"] for line in self.of("redacted")]
        expect(set(self.redacted) <= told, "taken out without a word: %s",
               sorted(set(self.redacted) - told))

    def begin_file(self, box, n, line):
        roots = [base64.b64decode(root) for root in line["frontier"]]
        expect(line["op"] == "file" and line["first"] == n, "line %d: %s", n, line)
        if n == self.first:
            self.tree.count, self.tree.stack = n, roots
        expect(roots == self.tree.stack, "line %d: the file goes on from others", n)
        self.before, self.base = self.key, self.tree.root()
        self.key = Key(line["key"])
        if n > 0:
            follows = self.lines[n - self.first + 1]
            expect(follows["op"] == "key" and follows["handed_over"] and
                   follows["key"] == line["key"], "line %d: no hand-over", n + 1)

    def take_key(self, box, n, line):
        if not line["handed_over"]:
            self.key = Key(line["key"])
            return
        origin, size, root, key = line["note"].split("\n\n")[0].split("\n")
        expect(n - 1 in self.files and int(size) == n - 1 and
               base64.b64decode(root) == self.base and key == line["key"] and
               origin == self.key.name, "line %d: another hand-over", n)
        if self.before:
            self.before.check(box, line["note"])

    def of(self, *ops):
        return [line for line in self.lines if line["op"] in ops]

    def rows(self):
        """What the tables have that the changes lead to: {(table, key): row}"""
        rows = {}
        for line in self.of("read", "insert", "update", "delete"):
            name = line["table"], json.dumps(line["key"])
            if line["op"] in ("read", "insert"):
                expect(name not in rows, "line %d: the row was there", line["n"])
                rows[name] = line["new"]
            elif line["op"] == "delete":
                expect(rows.pop(name, None) == line["old"], "line %d: another row was "
                       "there", line["n"])
            else:
                for column, (old, new) in line["changed"].items():
                    expect(rows[name][column] == old, "line %d: %s was %r", line["n"],
                           column, rows[name][column])
                    rows[name][column] = new
        return rows

    def change_ids(self):
        return [line["change_id"] for line in self.lines if "change_id" in line
                and line["op"] != "start"]


class Heads:
    """All heads that were ever seen of a log, as a witness has them: none may disagree
    with another one."""

    def __init__(self):
        self.roots = {}

    def take(self, heads):
        for size, root in heads.items():
            expect(self.roots.setdefault(size, root) == root,
                   "two heads of size %d", size)

    def take_file(self, path):
        """What a watcher finds in the file, whole lines or not, and in PATH.checkpoint."""
        if os.path.exists(path + ".checkpoint"):
            with open(path + ".checkpoint", encoding="utf-8") as file:
                _, size, root = head_of(file.read())
            self.take({size: root})
        data = b"".join(read_file(name) for _, name in files_of(path)
                        if os.path.exists(name) or os.path.exists(name + ".zst"))
        for line in data.split(b"\n"):
            at = line.find(b'"op":"checkpoint","note":"')
            if at < 0:
                continue
            text = line[at:].split(b'"note":"')[1].split(b'"')[0].decode()
            parts = text.split("\\n")
            if len(parts) >= 6 and parts[5] == "":      # the signature is whole
                self.take({int(parts[1]): base64.b64decode(parts[2])})

    def check(self, log):
        """The log holds what each of them signed."""
        tree, left = Tree(), dict(self.roots)
        if log.first > 0:               # of lines that are gone nothing can be said
            tree.count = log.first
            tree.stack = [base64.b64decode(root) for root in log.lines[0]["frontier"]]
            left = {size: root for size, root in left.items() if size >= log.first}
        for raw in log.raw:
            if tree.count in left:
                expect(left.pop(tree.count) == tree.root(),
                       "the head of size %d is of other lines", tree.count)
            tree.add(raw)
        expect(not left, "the log is shorter than heads of it: %s", sorted(left))

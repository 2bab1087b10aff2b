"""Programs of others as witness and as reader of proofs: litewitness, which keeps the
last head that it saw, and spicy (make audit-witness builds both with Go)."""

import base64
import hashlib
import os
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

from audit.log import Audited, TABLE, many
from audit.proofs import Proven
from audit.tamper import Tampered, remake, sign
from harness.audit import PREFIX, Key, head_of
from harness.box import NotRun, TESTS, expect

PROGRAMS = os.path.join(os.path.dirname(TESTS), "build", "audit")
NAME = "witness.example/rowtail"


def program(name):
    path = os.path.join(PROGRAMS, name)
    if not os.access(path, os.X_OK):
        raise NotRun("build/audit/%s is not built: make audit-witness" % name)
    return path


def packed(*parts):
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


class Agent:
    """The part of an agent of SSH that a witness needs: one key, and signatures by it."""

    def __init__(self, box):
        self.box, self.secret = box, hashlib.sha256(b"a witness").digest()
        key = box.path("agent-key")
        with open(key, "wb") as file:
            file.write(bytes.fromhex("302e020100300506032b657004220420") + self.secret)
        der = subprocess.run([box.need_tool("openssl"), "pkey", "-inform", "DER", "-in", key,
                              "-pubout", "-outform", "DER"], stdout=subprocess.PIPE,
                             check=True).stdout
        expect(der[:len(PREFIX)] == PREFIX, "openssl: %r", der)
        self.public = der[len(PREFIX):]
        self.blob = packed(b"ssh-ed25519", self.public)
        self.fingerprint = "SHA256:" + base64.b64encode(
            hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        # A socket's name may have 107 bytes only.
        self.folder = tempfile.TemporaryDirectory(prefix="agent")
        self.path = os.path.join(self.folder.name, "s")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()
        self.folder.cleanup()

    def serve(self):
        connection, _ = self.listener.accept()
        file = connection.makefile("rwb")
        while head := file.read(4):
            asked = file.read(struct.unpack(">I", head)[0])
            if asked[0] == 11:                             # which keys?
                said = b"\x0c" + struct.pack(">I", 1) + packed(self.blob, b"key")
            else:                                          # sign: key, bytes, flags
                at = 5 + len(self.blob)
                length = struct.unpack(">I", asked[at:at + 4])[0]
                signature = sign(self.box, self.secret, asked[at + 4:at + 4 + length])
                said = b"\x0e" + packed(packed(b"ssh-ed25519", signature))
            file.write(packed(said))
            file.flush()


class Witness:
    """litewitness on loopback, which knows the logs of these keys."""

    def __init__(self, box, *keys):
        self.box = box
        path = program("litewitness")
        self.agent = Agent(box)
        box.opened.append(self.agent)
        database = box.path("witness.db")
        db = sqlite3.connect(database)
        db.executescript("CREATE TABLE log(origin TEXT PRIMARY KEY, tree_size INTEGER NOT "
                         "NULL, tree_hash TEXT NOT NULL); CREATE TABLE key(origin TEXT NOT "
                         "NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES "
                         "log(origin))")
        for key in keys:
            empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
            name = key.split("+")[0]
            db.execute("INSERT INTO log VALUES (?, 0, ?)", (name, empty))
            db.execute("INSERT INTO key VALUES (?, ?)", (name, key))
        db.commit()
        db.close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.errors = open(box.path("witness.log"), "wb")
        self.process = subprocess.Popen(
            [path, "-name", NAME, "-db", database, "-ssh-agent", self.agent.path, "-key",
             self.agent.fingerprint, "-listen", self.address], stderr=self.errors)
        box.opened.append(self)
        box.wait_until(self.answers, timeout=20, text="the witness does not answer")

    def answers(self):
        expect(self.process.poll() is None, "the witness ended: %s",
               open(self.errors.name).read())
        try:
            urllib.request.urlopen("http://%s/" % self.address, timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def close(self):
        self.process.kill()
        self.process.wait()
        self.errors.close()

    def tell(self, body):
        """(status, text)"""
        request = urllib.request.Request("http://%s/add-checkpoint" % self.address,
                                         data=body.encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def accepts(self, body):
        status, text = self.tell(body)
        expect(status == 200, "%d %s\n%s", status, text, body)
        self.check(text, body.split("\n\n", 1)[1])

    def check(self, line, note):
        """c2sp.org/tlog-cosignature: did the witness sign the head, and when?"""
        name, data = line.rstrip("\n").removeprefix("\u2014 ").split(" ")
        data = base64.b64decode(data, validate=True)
        key = b"\x04" + self.agent.public
        expect(name == NAME and len(data) == 76, "%s", line)
        expect(data[:4] == hashlib.sha256(name.encode() + b"\n" + key).digest()[:4], "id")
        text = "cosignature/v1\ntime %d\n%s\n" % (struct.unpack(">Q", data[4:12])[0],
                                                note.split("\n\n")[0])
        # The same as a note of the log's kind, whose check is there.
        plain = Key("%s+%s+%s" % (name, hashlib.sha256(
            name.encode() + b"\n\x01" + self.agent.public).hexdigest()[:8],
            base64.b64encode(b"\x01" + self.agent.public).decode()))
        signature = base64.b64encode(bytes.fromhex(plain.id) + data[12:]).decode()
        plain.check(self.box, "%s\n\u2014 %s %s\n" % (text, name, signature))


def growth(box, path, size, code=0):
    result = box.run("audit", "consistency", path, "--from", str(size))
    expect(result.code == code, "%s", result)
    return result.out.decode()


def size_of(body):
    return head_of(body.split("\n\n", 1)[1])[1]


def test_a_witness_signs_what_only_grew(box):
    writer, path = box.database(TABLE, many(1, 300))
    audited = Audited(box, path)
    audited.once()
    witness = Witness(box, audited.key())
    size = 0
    for i in range(5):
        body = growth(box, audited.path, size)
        witness.accepts(body)
        size = size_of(body)
        witness.accepts(growth(box, audited.path, size))       # the same once more
        writer.sql("c", "UPDATE t SET a = a || '%d' WHERE id %% %d = 0" % (i, i + 2))
        audited.once()
    for old in (0, 1, size - 1):
        status, text = witness.tell(growth(box, audited.path, old))
        expect((status, text) == (409, "%d\n" % size), "%d: %d %s", old, status, text)
    witness.accepts(growth(box, audited.path, size))


def test_a_log_made_anew_with_the_stolen_key_is_refused(box):
    t = Tampered(box)
    witness = Witness(box, t.key)
    with open(t.older) as file:
        older = head_of(file.read())[1]
    cut = box.path("older.audit")
    with open(cut, "wb") as file:
        file.write(b"".join(t.older_lines))
    witness.accepts(growth(box, cut, 0))
    remade = box.path("remade.audit")
    with open(remade, "wb") as file:
        file.write(b"".join(remake(box, t)))
    result = box.run("audit", "verify", remade, "--key", t.key)
    expect(result.code == 0, "its signatures are right: %s", result)
    body = growth(box, remade, older)
    expect(size_of(body) > older, "it did not grow: %s", body)
    status, text = witness.tell(body)
    expect(status == 422, "%d %s", status, text)
    status, text = witness.tell(growth(box, remade, 0))
    expect(status == 409, "%d %s", status, text)
    witness.accepts(growth(box, t.audited.path, older))        # the log itself goes on


def test_heads_of_others_are_refused(box):
    t = Tampered(box)
    witness = Witness(box, t.key)
    body = growth(box, t.audited.path, 0)
    for forged in (body.replace(t.log.key.name, t.log.key.name + "x"),
                   body.replace("\n\n%s\n" % t.log.key.name, "\n\n%sx\n" % t.log.key.name),
                   body[:-12] + "AAAAAAAAAA=\n"):
        status, text = witness.tell(forged)
        expect(status in (400, 403), "%d %s\n%s", status, text, forged)
    other = Audited(box, box.database(TABLE, name="other.db")[1])
    other.path, other.state = box.path("other.audit"), box.path("other-state")
    other.once()
    status, text = witness.tell(growth(box, other.path, 0))
    expect(status == 403, "%d %s", status, text)
    witness.accepts(body)


def test_a_line_and_its_proof_are_read_by_spicy(box):
    path = program("spicy")
    proven = Proven(box)
    event = box.path("event")
    count = 0
    for n in range(0, proven.log.signed, 7):
        text = proven.proof(n)[0]
        for line, code in ((proven.log.raw[n], 0), (proven.log.raw[n] + b"\n", 1)):
            with open(event, "wb") as file:
                file.write(line)
            with open(event + ".spicy", "w") as file:
                file.write(text.split("\n", 1)[1])
            done = subprocess.run([path, "-verify", proven.key.text, event],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            expect(done.returncode == code, "%d: exit %d\n%s", n, done.returncode,
                   done.stdout.decode())
        count += 1
    return count

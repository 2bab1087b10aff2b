"""What an audit log holds, and that its lines are each there once."""

import glob
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess

from harness.audit import Heads, Log, files_of, read_file
from harness.box import expect

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def newest(path):
    """The file that is written, and of an empty folder the first one."""
    found = [name for name in glob.glob(glob.escape(path) + ".[0-9]*")
             if re.fullmatch(r"\.\d{12}", name[len(path):])]
    return max(found, default=path + ".000000000000")


def remove(path):
    """All names of a log's files."""
    for name in glob.glob(glob.escape(path) + ".[0-9]*") + [path]:
        if os.path.lexists(name):
            os.remove(name)


def end(path):
    """Where a log ends: it is another place when something was written."""
    name = newest(path)
    return name, os.path.getsize(name) if os.path.exists(name) else 0


def many(first, last, value="x"):
    return ("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i+1 FROM n WHERE i<%d)"
            " INSERT INTO t SELECT i, '%s' || i FROM n" % (first, last, value))


class Audited:
    """A database that is followed into an audit log."""

    def __init__(self, box, path, *args):
        self.box, self.database, self.args = box, path, args
        self.path = box.path("app.audit")
        self.state = box.path("state")
        self.heads = Heads()

    def arguments(self, *more):
        return [self.database, "--to", "audit:" + self.path, "--state", self.state,
                *self.args, *more]

    def start(self, *more, **kinds):
        return self.box.tail(*self.arguments(*more), **kinds)

    def once(self, *more, code=0, env=None):
        result = self.box.run(*self.arguments("--once", *more), timeout=40, env=env)
        expect(result.code == code and result.out == b"", "%s", result)
        return result

    def log(self, **how):
        log = Log(self.box, self.path, **how)
        self.heads.take(log.heads)
        self.heads.take_file(self.path)
        self.heads.check(log)
        ids = log.change_ids()
        first = ids[0] if (log.first > 0 or log.redacted) and ids else 1
        expect(ids == sorted(set(ids)) and (
            log.redacted or ids == list(range(first, len(ids) + first))), "change_ids: %s", ids)
        return log

    def count(self, text):
        """In all files."""
        return sum(read_file(name).count(text) for _, name in files_of(self.path))

    def rows(self):
        connection = sqlite3.connect(self.database)
        rows = connection.execute("SELECT id, a FROM t").fetchall()
        connection.close()
        return rows

    def matches(self, **how):
        """The changes of the log lead to the rows of the database."""
        log = self.log(**how)
        rows = {("t", json.dumps({"id": row[0]})): {"id": row[0], "a": row[1]}
                for row in self.rows()}
        expect(log.rows() == rows, "other rows")
        return log

    def verify(self, *args, code=0):
        result = self.box.run("audit", "verify", self.path, *args, timeout=60)
        expect(result.code == code, "%s", result)
        return result

    def key(self):
        result = self.box.run("audit", "key", self.path)
        expect(result.code == 0, "%s", result)
        return result.out.decode().split()[0]


class Turned(Audited):
    """A log of several files."""

    def __init__(self, box, *args, files=3):
        self.writer, path = box.database(TABLE, many(1, 5))
        super().__init__(box, path, *args)
        tail = self.start()
        for i in range(files - 1):
            self.change(tail, i)
            self.turn(tail)
        self.change(tail, files - 1)
        self.settle(tail)
        box.stop(tail)

    def settle(self, tail):
        """What is compressed is compressed when it ends."""
        if not self.args:
            self.box.wait_until(lambda: all(
                name.endswith(".zst") for _, name in self.files()[:-1]), timeout=60)

    def change(self, tail, value):
        done = self.count(b'"op":"update"')
        self.writer.sql("c", "UPDATE t SET a = 'n%d' WHERE id = %d" % (value, value % 5 + 1))
        self.box.wait_until(lambda: self.count(b'"op":"update"') > done, timeout=30)

    def turn(self, tail):
        count = len(self.files())
        tail.process.send_signal(signal.SIGHUP)
        self.box.wait_until(lambda: len(self.files()) > count, timeout=30)

    def files(self):
        return files_of(self.path)

    def replace(self, index, old, new):
        """In a file, compressed or not."""
        name = self.files()[index][1]
        data = read_file(name)
        expect(data.count(old) >= 1, "%r is not in %s", old, name)
        self.write(name, data.replace(old, new, 1))

    def write(self, name, data):
        """The same file, where it is not compressed."""
        plain = name.removesuffix(".zst")
        with open(plain, "wb") as file:
            file.write(data)
        os.chmod(plain, 0o600)
        if name != plain:
            os.remove(name)
            subprocess.run(["zstd", "-q", "--rm", plain], check=True)

    def found(self, *args):
        """Kinds of what verify finds."""
        result = self.verify("--json", *args, code=1)
        return [(one["finding"], one["first"], one["last"])
                for one in json.loads(result.out)["findings"]]

    def log_end(self):
        """The number of the next line."""
        first, name = self.files()[-1]
        return first + read_file(name).count(b"\n")

    def keys(self):
        with open(self.path + ".keys", encoding="utf-8") as file:
            return [json.loads(line)["key"] for line in file]


def test_rows_and_changes_are_lines_and_heads_sign_them(box):
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path)
    tail = audited.start()
    writer.sql("c", "UPDATE t SET a = 'y' WHERE id = 1")
    writer.sql("c", "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (9, NULL)")
    box.wait_until(lambda: b'"op":"insert"' in open(audited.path, "rb").read())
    box.stop(tail)
    expect(not tail.take_all(), "lines on stdout")
    log = audited.matches()
    ops = [line["op"] for line in log.lines if line["op"] != "checkpoint"]
    expect(ops == ["file", "start", "schema", "read", "read", "read", "update",
                   "delete", "insert", "stop"], "%s", ops)
    expect(log.lines[-1]["op"] == "checkpoint", "the stop is not signed")
    expect(log.of("update")[0]["changed"] == {"a": ["x1", "y"]}, "%s", log.of("update"))
    for line, raw in zip(log.lines, log.raw):
        salted = line["op"] in ("read", "insert", "update", "delete", "schema")
        expect(raw.startswith(b'{"n":%d,"%s":"' % (
            line["n"], b"salt" if salted else b"time")), "%r", raw[:60])
    salts = [line["salt"] for line in log.lines if "salt" in line]
    expect(len(set(salts)) == len(salts) and all(len(s) == 16 for s in salts), "salts")


def test_every_start_goes_on_where_the_log_ends(box):
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path)
    for i in range(4):
        audited.once()
        writer.sql("c", "UPDATE t SET a = a || '%d'" % i)
    audited.once()
    log = audited.matches()
    expect(len(log.of("start")) == len(log.of("stop")) == 5, "starts and stops")
    expect(not log.of("gap"), "a gap: %s", log.of("gap"))
    expect(len(log.of("file")) == 1, "files")


def test_a_line_without_salt_where_nothing_is_to_be_redacted(box):
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path, "-D", "audit.redactable=false")
    audited.once()
    log = audited.matches()
    expect(not [line for line in log.lines if "salt" in line], "a salt")


def test_the_key_is_ours_alone_and_heads_are_for_all(box):
    _, path = box.database(TABLE)
    audited = Audited(box, path)
    audited.once()
    for name, mode in ((audited.path, 0o600),
                       (os.path.join(audited.state, "audit-key"), 0o600),
                       (audited.path + ".checkpoint", 0o644)):
        expect(stat.S_IMODE(os.stat(name).st_mode) == mode, "mode of %s", name)
    expect(stat.S_IMODE(os.stat(audited.path + ".keys").st_mode) == 0o644, ".keys")
    with open(audited.path + ".keys") as file:
        expect(json.loads(file.read())["key"] == audited.key(), "another key")
    with open(os.path.join(audited.state, "audit-key")) as file:
        secret = file.read()
    with open(audited.path) as file:
        text = file.read()
    for word in secret.split():
        expect(word not in text, "a secret is in the log")
    os.chmod(os.path.join(audited.state, "audit-key"), 0o640)
    result = audited.once(code=2)
    expect(b"audit-key" in result.err, "%s", result)


def test_names_that_somebody_else_made_are_not_written_through(box):
    _, path = box.database(TABLE)
    audited = Audited(box, path)
    other = box.path("other")
    with open(other, "w") as file:
        file.write("theirs")
    for name, make in ((".keys", os.symlink), (".keys", os.link), ("", os.link)):
        make(other, audited.path + name)
        audited.once(code=2)
        os.remove(audited.path + name)
        if os.path.exists(audited.path):
            os.remove(audited.path)
    for name in (".checkpoint", ".checkpoint.tmp"):
        os.symlink(other, audited.path + name)
    audited.once()
    with open(other) as file:
        expect(file.read() == "theirs", "it was written to")
    audited.matches()


def test_files_beside_the_log_are_never_somebody_elses(box):
    """A database, followed or not, that has the name of one is left as it is."""
    for suffix in (".keys", ".checkpoint", ".checkpoint.tmp"):
        name = "app.audit" + suffix
        writer, path = box.database(TABLE, many(1, 3), name=name)
        audited = Audited(box, path)
        with open(path, "rb") as file:
            content = file.read()
        result = audited.once(code=2)
        expect("is a file of the database" in result.error_lines[-1], "%s", result)
        second, other = box.database(TABLE)
        beside = Audited(box, other)
        result = beside.once(code=2)
        expect("is not an audit log's" in result.error_lines[-1], "%s", result)
        with open(path, "rb") as file:
            expect(file.read() == content, "%s was written to", name)
        expect(audited.rows() and not os.path.exists(audited.path), "%s", name)
        writer.close()
        second.close()
        for left in glob.glob(box.path("*")):
            if os.path.isfile(left):
                os.remove(left)


def test_a_checkpoint_that_cannot_be_written_is_said_once(box):
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path)
    os.mkdir(audited.path + ".checkpoint")
    tail = audited.start()
    for i in range(3):
        writer.sql("c", "UPDATE t SET a = %d WHERE id = 1" % i)
        tail.process.send_signal(signal.SIGHUP)
        box.wait_until(lambda: audited.count(b'"op":"checkpoint"') >= i + 2, timeout=20)
    box.wait_until(lambda: audited.count(b'"op":"update"') == 3, timeout=20)
    os.rmdir(audited.path + ".checkpoint")
    box.stop(tail)
    said = tail.error_text().count("cannot be written")
    expect(said == 1, "%d times:\n%s", said, tail.error_text())
    audited.matches()


def test_a_log_that_is_taken_away_while_it_is_written(box):
    """Nothing is signed that nobody will find: the run ends."""
    for i, (do, text) in enumerate((
            (remove, "was removed"), (lambda path: os.truncate(path, 0), "cut it"),
            (lambda path: open(path, "ab").write(b"x\n"), "wrote to it"))):
        writer, path = box.database(TABLE, many(1, 3), name="%d.db" % i)
        audited = Audited(box, path)
        audited.path, audited.state = box.path("%d.audit" % i), box.path("state%d" % i)
        tail = audited.start()
        box.wait_until(lambda: b'"op":"checkpoint"' in open(audited.path, "rb").read(),
                       timeout=20)
        do(audited.path)
        writer.sql("c", "UPDATE t SET a = 'y'")
        expect(tail.wait_exit(20) == 1, "exit")
        expect(text in tail.error_text(), "%s", tail.error_text())
        with open(audited.path + ".checkpoint", encoding="utf-8") as file:
            kept = file.read()
        result = audited.once(code=2 if i == 1 else 1)
        with open(audited.path + ".checkpoint", encoding="utf-8") as file:
            expect(file.read() == kept, "it was signed; %s", result)
        writer.close()


def test_a_name_stays_one_of_a_kind_however_long_the_prefix_is(box):
    _, path = box.database(TABLE)
    audited = Audited(box, path, "-D", "topic.prefix=" + "p" * 240)
    audited.once()
    name = audited.log().key.name
    expect(re.fullmatch("rowtail-audit/p{50,}/[0-9a-f]{16}", name), "%s", name)
    audited.verify()


def test_a_large_transaction_is_cut_short_and_gone_on_with(box):
    writer, path = box.database(TABLE)
    audited = Audited(box, path)
    audited.once()
    writer.sql("c", many(1, 30000, "a row that makes the transaction long "))
    tail = audited.start(wait=False)
    box.wait_until(lambda: os.path.getsize(audited.path) > 1500000, timeout=30)
    tail.process.send_signal(signal.SIGKILL)
    tail.wait_exit(20)
    audited.heads.take_file(audited.path)
    audited.once()
    audited.matches(signatures="last")


def test_hangup_signs_at_once_and_ends_nothing(box):
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path)
    tail = audited.start()
    writer.sql("c", "UPDATE t SET a = 'y' WHERE id = 1")
    tail.process.send_signal(signal.SIGHUP)
    box.wait_until(lambda: audited.count(b'"op":"update"') == 1)
    expect(tail.process.poll() is None, "a hangup has ended it")
    box.stop(tail)
    audited.matches()


def test_a_head_comes_without_another_change(box):
    """The last change is signed though nothing comes after it."""
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path)
    tail = audited.start()
    for i in range(3):
        writer.sql("c", "UPDATE t SET a = %d WHERE id = 1" % i)

    def is_signed():
        with open(audited.path, "rb") as file:
            lines = file.read().splitlines()
        return (b'"changed":{"a":[1,2]}' in b"".join(lines) and
                b'"op":"checkpoint"' in lines[-1])
    box.wait_until(is_signed, timeout=20)
    tail.process.kill()
    tail.wait_exit(20)
    audited.heads.take_file(audited.path)
    audited.once()
    audited.matches()


def test_cat_gives_the_lines(box):
    writer, path = box.database(TABLE, many(1, 3))
    audited = Audited(box, path)
    audited.once()
    result = box.run("audit", "cat", audited.path)
    with open(audited.path, "rb") as file:
        expect(result.code == 0 and result.out == file.read(), "%s", result)


def test_options_that_do_not_go_with_it(box):
    _, path = box.database(TABLE)
    audited = Audited(box, path)
    for option in ("--lines=record", "-Dschemas.enable=true"):
        result = box.run(*audited.arguments("--once"), option)
        expect(result.code == 2, "%s: %s", option, result)
    for words in ((path, "--accept-gap"), (path, "--key", "k"), ("audit", "x", path),
                  ("audit", "verify", path), ("audit", "verify", path + "-no"),
                  ("audit", "key", path), ("audit", "cat", path, "--json"),
                  ("audit", "verify", path, "--key", "k"),
                  ("audit", "verify", path, "--checkpoint", path)):
        result = box.run(*words)
        expect(result.code == 2 and len(result.error_lines) == 1, "%s: %s", words,
               result)

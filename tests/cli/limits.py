"""What a process may not have: descriptors, threads, memory, room. Each is a clean run or
one line that says which limit it is; never a crash, a hang, or another reason."""

import os
import resource
import signal
import sqlite3

from harness.box import NotRun, expect

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
ROWS = ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < %d) SELECT NULL, hex(randomblob(500)) FROM n")


def no_sanitizer(box):
    if box.options.wrapper or box.slow > 1:
        raise NotRun("sanitizers and valgrind need more than these limits")


def limited(kind, soft):
    def preexec():
        resource.setrlimit(kind, (soft, soft))
    return preexec


def errors_of(result):
    return [e for e in result.error_lines if not e.startswith("rowtail: following ")]


def judge(result, where, lines, *reasons):
    """True: a clean run. Otherwise one line with one of the reasons."""
    expect(result.code in (0, 1), "%s: exit %s\n%s", where, result.code, result)
    errors = [e for e in errors_of(result) if "nice level" not in e]
    if result.code == 0:
        expect(len(result.out.splitlines()) == lines, "%s: %d lines, not %d", where,
               len(result.out.splitlines()), lines)
        expect(all("inotify" in e or any(r in e for r in reasons) for e in errors),
               "%s: %s", where, result)
        return True
    errors = [e for e in errors if "inotify" not in e]
    expect(len(errors) == 1, "%s: not one line\n%s", where, result)
    expect(any(r in errors[0] for r in reasons), "%s: it does not say why\n%s", where,
           result)
    for wrong in ("permission", "as the user", "backup", "TMPDIR"):
        expect(wrong not in errors[0], "%s: it says %r\n%s", where, wrong, result)
    return False


def walk_descriptors(box, *args):
    """Returns the number with which it runs."""
    _, path = box.database(TABLE, ROWS % 20)
    for total in range(3, 60):
        state = box.path("state-%d" % total)
        given = [a.replace("STATE", state) for a in args]
        result = box.run(path, *given, preexec=limited(resource.RLIMIT_NOFILE, total))
        if result.code == 127 and b"shared libraries" in result.err:
            continue                        # not even started
        if judge(result, "%d descriptors" % total, 20,
                 "Too many open files (the limit of this process is %d: raise it with"
                 " ulimit -n" % total):
            return total
        # Nothing that was half made is in the way of the next run.
        if total % 5 == 0:
            again = box.run(path, *given)
            expect(again.code == 0 and len(again.out.splitlines()) == 20, "%s", again)
    expect(False, "it never ran")


def test_descriptors(box):
    no_sanitizer(box)
    walk_descriptors(box, "--snapshot", "--once")


def test_descriptors_with_a_state_directory(box):
    no_sanitizer(box)
    walk_descriptors(box, "--state", "STATE", "--once")


def test_descriptors_with_a_file(box):
    no_sanitizer(box)
    _, path = box.database(TABLE, ROWS % 20)
    for total in range(5, 60):
        out = box.path("out-%d" % total)
        result = box.run(path, "--to", "file:" + out, "--state",
                         box.path("state-%d" % total), "--once",
                         preexec=limited(resource.RLIMIT_NOFILE, total))
        if result.code != 0:
            judge(result, "%d descriptors" % total, 20, "Too many open files")
            continue
        with open(out) as lines:
            expect(len(lines.readlines()) == 20, "lines")
        return
    expect(False, "it never ran")


def test_memory(box):
    """Address space from far too little to enough: exit 0, or the reason."""
    no_sanitizer(box)
    _, path = box.database(TABLE, ROWS % 200)
    ran = 0
    for mib in list(range(20, 200, 12)) + [400, 2000]:
        for args in (("--snapshot",), ("--state", box.path("state-%d" % mib))):
            result = box.run(path, *args, "--once", timeout=30,
                             preexec=limited(resource.RLIMIT_AS, mib << 20))
            if result.code == 127:
                continue
            ran += judge(result, "%d MiB, %s" % (mib, args[0]), 200, "memory")
    expect(ran, "it never ran")


def test_threads(box):
    """Root has no such limit: another user of a database of its own."""
    no_sanitizer(box)
    if os.getuid() != 0:
        raise NotRun("only root can be a user without other processes")
    user = 64321
    os.chmod(box.folder, 0o755)
    folder = box.path("its")
    os.mkdir(folder)
    path = os.path.join(folder, "app.db")
    made = sqlite3.connect(path)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute(TABLE)
    made.execute(ROWS % 20)
    made.commit()
    made.close()
    for name in (folder, path):
        os.chown(name, user, user)

    def become(total):
        def preexec():
            resource.setrlimit(resource.RLIMIT_NPROC, (total, total))
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        return preexec
    for args in (("--snapshot",), ("--state", os.path.join(folder, "state"))):
        for total in range(1, 12):
            try:
                result = box.run(path, *args, "--once", preexec=become(total))
            except PermissionError:
                raise NotRun("another user cannot run %s" % box.options.rowtail)
            if judge(result, "%d threads, %s" % (total, args[0]), 20,
                     "no more threads or processes are allowed"):
                break
        else:
            expect(False, "it never ran")


def test_the_size_of_a_file(box):
    """Of the copy and the journal: a limit, as a full disk, is told and not a signal."""
    no_sanitizer(box)
    _, path = box.database(TABLE, ROWS % 2000)
    ran = False
    for size in (0, 100, 5000, 100000, 1000000, 30 << 20):
        state = box.path("state-%d" % size)
        result = box.run(path, "--state", state, "--once", timeout=30,
                         preexec=limited(resource.RLIMIT_FSIZE, size))
        ran = judge(result, "%d bytes" % size, 2000, "File too large")
        if not ran:
            again = box.run(path, "--state", state, "--once")
            expect(again.code == 0 and len(again.out.splitlines()) == 2000, "%s", again)
    expect(ran, "it never ran")


def test_a_full_disk_of_the_spool_is_named_and_its_end_is_told(box):
    """A file's limit stands for a full disk, and is raised while it runs."""
    no_sanitizer(box)
    writer, path = box.database(TABLE)
    os.mkdir(box.path("spool here"))
    tail = box.tail(path, take=False, env=dict(os.environ, TMPDIR=box.path(
        "spool here")))
    limits = resource.prlimit(tail.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(tail.process.pid, resource.RLIMIT_FSIZE, (1 << 20, limits[1]))

    def told(*words):
        return any(all(w in e for w in words) for e in tail.errors)
    total = 0
    while not told("'%s'" % box.path("spool here"), "File too large"):
        expect(total < 200, "no full disk after %d MB", total)
        writer.sql("c", ROWS % 1000)
        total += 1
    expect(tail.process.poll() is None, "it ended: %s", tail.error_text())
    resource.prlimit(tail.process.pid, resource.RLIMIT_FSIZE, limits)
    box.wait_until(lambda: told("there is room on the disk again"), 20,
                   "the end is not told")
    tail.process.send_signal(signal.SIGKILL)


# -- databases that are not what they seem ------------------------------------------------


def encrypted(box, readable):
    """As a cipher leaves it that keeps so many bytes of the header readable."""
    writer, path = box.database(TABLE, ROWS % 20, name="secret.db")
    writer.close()
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        file.seek(readable)
        file.write(os.urandom(size - readable))
    return path


def test_encrypted_databases_are_called_that(box):
    for readable in (0, 16, 24, 32, 44):
        result = box.run(encrypted(box, readable))
        expect(result.code == 3 and len(result.error_lines) == 1, "%s", result)
        expect("encrypted" in result.error_lines[0], "%d: %s", readable, result)
        expect("backup" not in result.error_lines[0], "%d: %s", readable, result)
        os.unlink(box.path("secret.db"))


def test_one_wrong_field_of_the_header_is_no_cipher(box):
    for at in (44, 56, 72):
        writer, path = box.database(TABLE, name="wrong.db")
        writer.close()
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(b"\x77\x66\x55\x44")
        result = box.run(path, "--snapshot", "--once")
        expect("is encrypted (only" not in result.err.decode(), "%d: %s", at, result)
        os.unlink(path)


def test_names_with_blanks_can_be_copied(box):
    """What is advised as a command is one, whatever the name."""
    import subprocess
    sqlite = box.need_tool("sqlite3")
    writer, path = box.database(TABLE, name="it's my app.db", wal=False)
    writer.close()
    result = box.run(path)
    line = result.error_lines[0]
    expect(result.code == 3, "%s", result)
    command = line[line.index("(sqlite3 ") + 1:line.index("), then")]
    subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)
    expect(sqlite and box.run(path, "--snapshot", "--once").code == 0, "it did not help")


def test_corruption_names_the_database_and_what_to_do(box):
    writer, path = box.database("PRAGMA page_size=1024", TABLE, ROWS % 2000,
                                name="a b.db")
    writer.close()
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(size - 1024)
        file.write(b"\xee" * 1024)
    result = box.run(path, "--snapshot", "--once")
    errors = errors_of(result)
    expect(result.code == 1 and len(errors) == 1, "%s", result)
    for word in ("'%s' is corrupt" % path, "page %d" % (size // 1024),
                 "integrity_check", "backup"):
        expect(word in errors[0], "it does not say %r\n%s", word, result)

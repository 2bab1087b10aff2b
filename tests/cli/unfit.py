"""Databases that cannot be followed: one line, the exit code of docs/options.md, in 5 s."""

import os
import shutil
import subprocess
import time

from harness.box import NotRun, expect
from harness.tail import Tail

NOBODY = 65534
TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
ROWS = ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 2000) SELECT i, 'row ' || i FROM n")


def unfit(box, path, *words, code=3, args=(), lines=1, **more):
    result = box.run(path, *args, timeout=5, **more)
    expect(result.code == code, "exit %s, expected %s\n%s", result.code, code, result)
    expect(len(result.error_lines) == lines, "not %d line(s) on stderr:\n%s", lines,
           result)
    for word in words + (os.path.basename(path),):
        expect(word.lower() in result.err.decode().lower(),
               "the error does not say %r:\n%s", word, result)
    expect(result.out == b"", "output on stdout:\n%s", result)
    return result


def test_missing_file(box):
    unfit(box, box.path("none.db"))
    expect(not os.listdir(box.folder), "it made files: %s", os.listdir(box.folder))


def test_missing_folder(box):
    unfit(box, os.path.join(box.folder, "no", "none.db"))


def test_directory(box):
    os.mkdir(box.path("folder.db"))
    unfit(box, box.path("folder.db"), "directory")


def test_empty_file(box):
    open(box.path(), "w").close()
    unfit(box, box.path())
    expect(os.path.getsize(box.path()) == 0, "it wrote into the file")
    expect(os.listdir(box.folder) == ["app.db"], "it made files: %s",
           os.listdir(box.folder))


def test_text_file(box):
    with open(box.path("notes.db"), "w") as out:
        out.write("this is a text\n" * 500)
    unfit(box, box.path("notes.db"))


def test_encrypted_file(box):
    with open(box.path("secret.db"), "wb") as out:
        out.write(os.urandom(65536))
    unfit(box, box.path("secret.db"))


def closed_database(box, *statements, wal=True):
    writer, path = box.database(*statements, wal=wal)
    writer.close()
    return path


def test_rollback_journal_database(box):
    path = closed_database(box, TABLE, wal=False)
    with open(path, "rb") as source:
        before = source.read()
    unfit(box, path, "journal_mode", "wal")
    with open(path, "rb") as source:
        expect(source.read() == before, "the file was changed")


def test_truncated_database(box):
    path = closed_database(box, TABLE, ROWS)
    os.truncate(path, os.path.getsize(path) // 2 + 100)
    unfit(box, path)


def test_truncated_within_the_header(box):
    path = closed_database(box, TABLE, ROWS)
    os.truncate(path, 60)
    unfit(box, path)


def test_corrupt_schema(box):
    path = closed_database(box, TABLE, ROWS)
    with open(path, "r+b") as out:
        out.seek(100)
        out.write(b"\xff" * 400)
    unfit(box, path)


def test_corrupt_root_page(box):
    path = closed_database(box, TABLE, ROWS)
    with open(path, "r+b") as out:
        out.seek(4096)
        out.write(b"\xee" * 4096)
    unfit(box, path, "t", args=["--snapshot"], code=3)


def test_corrupt_page_met_in_a_snapshot(box):
    path = closed_database(box, TABLE, ROWS)
    size = os.path.getsize(path)
    with open(path, "r+b") as out:
        out.seek(size - 4096)
        out.write(b"\xee" * 4096)
    result = box.run(path, "--snapshot", "--once", timeout=5)
    expect(result.code in (1, 3), "%s", result)
    errors = [e for e in result.error_lines if not e.startswith("rowtail: following")]
    expect(len(errors) == 1 and str(size // 4096) in errors[0], "%s", result)


def exclusive_writer(box):
    """An application that holds its database exclusively, without a -shm file."""
    writer = box.writer()
    writer.open("c", box.path(), pragmas=[
        "PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", TABLE,
        "INSERT INTO t VALUES (1, 1)"])
    return writer


def test_exclusively_locked_database(box):
    exclusive_writer(box)
    result = box.run(box.path(), timeout=60)
    expect(result.code == 3, "%s", result)
    expect(3.0 < result.seconds, "it tried for %.1f s, not 4",
           result.seconds)
    expect(all("app.db" in e for e in result.error_lines)
           and 1 <= len(result.error_lines) <= 2, "%s", result)


def test_exclusive_lock_that_passes(box):
    writer = exclusive_writer(box)
    tail = box.tail(box.path(), wait=False)
    time.sleep(0.8)
    expect(not any(e.startswith("rowtail: following") for e in tail.errors), "follows?")
    expect(any("app.db" in e for e in tail.errors), "it does not say that it waits: %s",
           tail.error_text())
    writer.close_connection("c")
    writer.open("c", box.path())
    tail.wait_following(5)
    writer.sql("c", "INSERT INTO t VALUES (2, 2)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)


def as_nobody(box):
    """The preexec function of another user; the box's folder stays reachable."""
    if os.getuid() != 0:
        raise NotRun("only root can run rowtail as another user")
    os.chmod(box.folder, 0o755)

    def change():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    probe = subprocess.run([box.options.rowtail, "--version"], preexec_fn=change,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if probe.returncode != 0:
        raise NotRun("another user cannot run %s" % box.options.rowtail)
    return change


def tail_as_nobody(box, path):
    tail = Tail([box.options.rowtail, path], box.options.wrapper, slow=box.slow,
                preexec=as_nobody(box))
    box.opened.append(tail)
    return tail


def test_no_permission_on_the_database(box):
    writer, path = box.database(TABLE)
    change = as_nobody(box)
    os.chmod(path, 0o600)
    unfit(box, path, "permi", preexec=change)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")


def test_no_permission_on_shm(box):
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    change = as_nobody(box)
    os.chmod(path, 0o644)
    os.chmod(path + "-wal", 0o644)
    os.chmod(path + "-shm", 0o600)
    unfit(box, path, "shm", preexec=change)
    writer.sql("c", "INSERT INTO t VALUES (2, 2)")


def test_no_permission_on_the_folder(box):
    writer, path = box.database(TABLE)
    change = as_nobody(box)
    os.chmod(box.folder, 0o700)
    unfit(box, path, preexec=change)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")


def test_read_only_follows_in_a_degraded_mode_that_it_names(box):
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    for name in (path, path + "-wal", path + "-shm"):
        os.chmod(name, 0o644)
    tail = tail_as_nobody(box, path)
    tail.wait_following(10)
    expect(len(tail.errors) >= 2 or any("checkpoint" in e for e in tail.errors),
           "the degraded mode is not named:\n%s", tail.error_text())
    for i in range(2, 30):
        writer.sql("c", "INSERT INTO t VALUES (%d, 1)" % i)
    expect(tail.wait_lines(28), "%d events of 28", tail.available())
    box.stop(tail)
    writer.sql("c", "INSERT INTO t VALUES (100, 1)")


def test_other_user_waits_until_the_application_has_the_database_open(box):
    """As first opener it would make -wal and -shm with its own user id, which locks
    the application out."""
    path = closed_database(box, TABLE, "INSERT INTO t VALUES (1, 1)")
    as_nobody(box)
    os.chmod(path, 0o666)
    os.chmod(box.folder, 0o777)
    tail = tail_as_nobody(box, path)
    os.chmod(box.folder, 0o777)
    time.sleep(1.0)
    for name in (path + "-wal", path + "-shm"):
        expect(not os.path.exists(name) or os.stat(name).st_uid == 0,
               "%s belongs to the other user", os.path.basename(name))
    expect(tail.process.poll() is None, "it ended: %s", tail.error_text())
    expect(tail.errors, "it does not say that it waits")
    writer = box.writer()
    writer.open("c", path)
    writer.sql("c", "INSERT INTO t VALUES (2, 2)")
    tail.wait_following(5)
    writer.sql("c", "INSERT INTO t VALUES (3, 3)")
    expect(tail.wait_lines(1), "no event")


def test_without_inotify(box):
    environment = box.preloading("no_inotify")
    writer, path = box.database(TABLE)
    tail = box.tail(path, wait=False, env=environment)
    expect(tail.following.wait(5), "neither follows nor ends within 5 s")
    expect(any("inotify" in e for e in tail.errors), "inotify is not named:\n%s",
           tail.error_text())
    if any(e.startswith("rowtail: following") for e in tail.errors):
        writer.sql("c", "INSERT INTO t VALUES (1, 1)")
        expect(tail.wait_lines(1), "no event without inotify")
        box.stop(tail)
        return
    code = tail.wait_exit(5)
    expect(code in (1, 3), "exit %s", code)
    expect(len(tail.errors) == 1, "not one line:\n%s", tail.error_text())


def test_a_symlink_is_followed_to_its_database(box):
    writer, path = box.database(TABLE)
    os.mkdir(box.path("elsewhere"))
    os.symlink(path, box.path("elsewhere/link.db"))
    tail = box.tail(box.path("elsewhere/link.db"))
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)


def test_a_name_with_odd_characters(box):
    name = "odd name?#%41 'x' ü.db"
    writer, path = box.database(TABLE, name=name)
    tail = box.tail(path)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    line = tail.take(1)[0].decode()
    expect('"db":"%s"' % name in line, "source.db: %s", line)
    box.stop(tail)


def test_a_relative_name(box):
    writer, path = box.database(TABLE)
    tail = box.tail("app.db", cwd=box.folder)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)


def test_the_spool_needs_no_writable_folder_of_the_database(box):
    """TMPDIR says where the spool lies; it is unlinked and leaves nothing."""
    writer, path = box.database(TABLE)
    os.mkdir(box.path("tmp"))
    tail = box.tail(path, env=dict(os.environ, TMPDIR=box.path("tmp")))
    for i in range(50):
        writer.sql("c", "INSERT INTO t VALUES (%d, 1)" % i)
    expect(tail.wait_lines(50), "no events")
    expect(os.listdir(box.path("tmp")) == [], "files: %s", os.listdir(box.path("tmp")))
    box.stop(tail)
    expect(os.listdir(box.path("tmp")) == [], "files stay")


def test_a_path_that_is_too_long_for_sqlite(box):
    """Whatever its part that the user gave."""
    writer, path = box.database(TABLE)
    writer.close()
    folder = box.folder
    while len(folder) < 440:
        folder = os.path.join(folder, "x" * 40)
    os.makedirs(folder)
    ran = 0
    for total in range(495, 516):
        name = "y" * (total - len(folder) - 4) + ".db"
        shutil.copy(path, os.path.join(folder, name))
        result = box.run(name, "--snapshot", "--once", cwd=folder)
        if result.code == 0:
            ran = total
            continue
        expect(result.code == 3 and len(result.error_lines) == 1
               and "bytes that SQLite can open; use a shorter one"
               in result.error_lines[0], "%d bytes: %s", total, result)
    expect(500 <= ran < 510, "the longest that can be followed: %d", ran)

"""The database is reached by other names: links, mounts, folders that are moved."""

import os
import shutil
import subprocess

from harness.box import NotRun, expect
from state.consumer import Session

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"


def fill(writer, first, last):
    for i in range(first, last + 1):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'row %d')" % (i, i))


def test_a_hard_link_is_told_and_what_comes_by_it_is_noticed(box):
    """The application writes by its own name; its checkpoints show in the file."""
    writer, path = box.database(TABLE)
    fill(writer, 1, 3)
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    os.link(path, box.path("alias.db"))
    tail = box.tail(box.path("alias.db"))
    expect(any("2 names" in e for e in tail.errors), "%s", tail.errors)
    fill(writer, 4, 6)
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    code = tail.wait_exit(10)
    expect(code == 1 and "past its WAL" in tail.error_text(), "exit %s: %s", code,
           tail.error_text())
    expect(writer.sql("c", "SELECT count(*) FROM t") == [(6,)], "rows are lost")


def test_a_link_that_leads_elsewhere_is_followed(box):
    """The file itself, or a folder above."""
    for kind in ("file", "folder"):
        os.mkdir(box.path(kind))
        folders = [box.path(kind + "/" + n) for n in ("one", "two")]
        paths = []
        for number, folder in enumerate(folders):
            os.mkdir(folder)
            writer, path = box.database(TABLE, name=kind + "/%s/app.db" %
                                        os.path.basename(folder))
            fill(writer, 1, 3 + number)
            writer.close()
            paths.append(path)
        link = box.path(kind + "/link")
        target = paths if kind == "file" else folders
        os.symlink(target[0], link)
        given = link if kind == "file" else link + "/app.db"
        plain = box.tail(given)
        session = Session(box, given, "-D", "topic.prefix=app",
                          directory=box.path(kind + "/state"))
        run = session.start()
        run.wait(3)
        os.symlink(target[1], link + ".new")
        os.rename(link + ".new", link)
        code = plain.wait_exit(15)
        expect(code == 1 and "leads" in plain.error_text(), "exit %s: %s", code,
               plain.error_text())
        run.wait(4, 20)
        writer = box.writer()
        writer.open("c", paths[1])
        fill(writer, 5, 5)
        run.wait(5)
        writer.close()
        run.stop()
        session.matches()


MOUNTED = """
set -e
mount --bind "$1" "$2"
exec "$3" "$2"
"""


def test_a_file_that_is_mounted_alone_is_refused(box):
    writer, path = box.database(TABLE)
    writer.close()
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise NotRun("mounting needs root and unshare")
    if subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        raise NotRun("no mount namespace is to be had")
    os.mkdir(box.path("elsewhere"))
    other = box.path("elsewhere/app.db")
    with open(other, "wb"):
        pass
    result = box.run(command=["unshare", "-m", "sh", "-c", MOUNTED, "sh", path, other,
                              box.options.rowtail])
    expect(result.code == 3 and b"mount the folder" in result.err, "%s", result)
    expect(not os.path.exists(other + "-wal"), "it made a -wal")


def begun(box, folder, rows=200):
    os.mkdir(box.path(folder))
    writer, path = box.database(TABLE, name=folder + "/app.db")
    writer.sql("c", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
               " i + 1 FROM n WHERE i < %d) SELECT i, hex(randomblob(50)) FROM n" % rows)
    writer.close()
    session = Session(box, path, "-D", "topic.prefix=app",
                      directory=box.path(folder + "/state"))
    session.once()
    return session


def test_a_database_moved_with_its_directory_is_the_same(box):
    for how in ("rename", "copy"):
        for writes in (False, True):
            folder = "%s%d" % (how, writes)
            session = begun(box, folder)
            new = box.path(folder + "-new")
            if how == "rename":
                os.rename(box.path(folder), new)
            else:                       # to another file system: other inodes
                shutil.copytree(box.path(folder), new)
                shutil.rmtree(box.path(folder))
            session.path, session.directory = new + "/app.db", new + "/state"
            if writes:
                writer = box.writer()
                writer.open("c", session.path)
                fill(writer, 1001, 1003)
                writer.close()
            events = session.once()
            expect(len(events) == 3 * writes, "%d events", len(events))
            said = [e for e in session.errors if folder + "-new/app.db now" in e]
            expect(len(said) == 1, "%s", session.errors)
            session.once()
            expect(not [e for e in session.errors if " now" in e], "%s", session.errors)
            session.matches()


def test_another_database_or_a_copy_is_refused(box):
    session = begun(box, "one")
    other = begun(box, "two")
    new = box.path("three")
    shutil.copytree(box.path("one"), new)
    result = box.run(new + "/app.db", "--state", new + "/state", "--once")
    expect(result.code == 2 and b"still there" in result.err, "%s", result)
    os.rename(session.path, session.path + ".away")
    for database in (other.path, session.path + "x"):
        if database.endswith("x"):
            writer, database = box.database(TABLE, name="small.db")
            fill(writer, 1, 3)
            writer.close()
        result = box.run(database, "--state", session.directory, "--once")
        expect(result.code == 2 and b"use another --state" in result.err, "%s", result)
    os.rename(session.path + ".away", session.path)
    expect(not session.once(), "it was disturbed")


def test_a_database_that_is_gone_is_no_such_file(box):
    session = begun(box, "one")
    os.unlink(session.path)
    for path, cwd in ((session.path, None), ("app.db", os.path.dirname(session.path))):
        result = box.run(path, "--state", session.directory, cwd=cwd)
        expect(result.code == 3 and b"no such file" in result.err, "%s", result)


def test_no_state_directory_gets_the_name_of_a_file_of_the_database(box):
    writer, path = box.database(TABLE)
    writer.close()
    os.mkdir(box.path("sub"))
    for suffix in ("-wal", "-shm", "-journal", ""):
        for name in (path + suffix, box.path("sub/../app.db") + suffix + "/",
                     "app.db" + suffix):
            result = box.run(path, "--state", name, "--once", cwd=box.folder)
            expect(result.code == 2 and b"--state" in result.err, "%s", result)
    expect(sorted(os.listdir(box.folder)) == ["app.db", "sub"], "%s",
           os.listdir(box.folder))


def test_once_does_not_wait_for_ever_to_be_allowed(box):
    """Who may only read it cannot be the first to open it."""
    if os.geteuid() != 0:
        raise NotRun("another user's files need root")
    writer, path = box.database(TABLE)
    writer.close()
    os.chmod(box.folder, 0o755)
    os.chmod(path, 0o644)

    def nobody():
        os.setgid(65534)
        os.setuid(65534)
    result = box.run(path, "--once", "--snapshot", timeout=30, preexec=nobody)
    expect(result.code == 3 and b"no application has it open" in result.err, "%s",
           result)

"""rowtail check: it tells what a run would meet, with the exit code of a run, and leaves
everything as it is."""

import hashlib
import json
import os
import shutil
import socket
import sqlite3
import stat
import threading

from harness.box import expect
from harness.small_disk import SmallDisk
from cli.unfit import as_nobody, exclusive_writer

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
SHOP = ["CREATE TABLE orders(id INTEGER PRIMARY KEY, item, price)",
        "CREATE TABLE lines(order_id, n, PRIMARY KEY(order_id, n)) WITHOUT ROWID",
        "CREATE TABLE notes(text)", "CREATE TABLE logs(id INTEGER PRIMARY KEY, at)"]


def closed(box, *statements, name="app.db", **more):
    """Nobody has it open, and -wal and -shm are gone."""
    writer, path = box.database(*statements, name=name, **more)
    writer.close()
    return path


def listing(folder):
    """Of every file all that shows that somebody has touched it, but for being read."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(root, name)
            st = os.lstat(path)
            content = b""
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            found[os.path.relpath(path, folder)] = (
                st.st_mode, st.st_uid, st.st_ino, st.st_size, st.st_mtime_ns,
                st.st_ctime_ns, content)
    return found


def same(before, after):
    names = sorted(n for n in before.keys() | after.keys()
                   if before.get(n) != after.get(n))
    expect(not names, "changed: %s", [(n, before.get(n), after.get(n)) for n in names])


def check(box, *args, code=0, said=None, **more):
    """Both forms, and that nothing was changed. Gives the object."""
    before = listing(box.folder)
    lines = box.run("check", *args, **more)
    told = box.run("check", *args, "--json", **more)
    same(before, listing(box.folder))
    for result in (lines, told):
        expect(result.code == code, "exit %s, expected %s: %s", result.code, code, result)
        expect(len(result.error_lines) == (1 if code else 0), "%s", result)
    found = json.loads(told.out)
    expect(found["ok"] == (code == 0) and found["exit"] == code, "%s", found)
    texts = lines.out.decode().splitlines()
    expect(len(texts) == len(found["findings"]) + len(found["tables"])
           + len(found["settings"]), "%s and %s", texts, found)
    for level in ("ok", "warning", "problem"):
        expect(sum(t.startswith(level + " ") for t in texts)
               == len(of_level(found, level)), "%s and %s", texts, found)
    for word in [said] if isinstance(said, str) else said or []:
        expect(any(word in t for t in of_level(found, "problem")),
               "%r is no problem of %s", word, found)
    return found


def of_level(found, level):
    return [f["text"] for f in found["findings"] if f["level"] == level]


def warned(found, *words):
    for word in words:
        expect(any(word in t for t in of_level(found, "warning")),
               "%r is no warning of %s", word, found)


def both(box, *args, code, said, count=None, run=("--once", "--snapshot"), **more):
    """Check tells it, and a run ends with the same code. Gives what check tells."""
    found = check(box, *args, code=code, said=said, **more)
    problems = of_level(found, "problem")
    expect(count is None or len(problems) == count, "%s", found)
    result = box.run(*args, *[r for r in run if r not in args], **more)
    expect(result.code == code, "check: %s\na run: %s", found, result)
    return found


# -- the database ----------------------------------------------------------------------


def test_a_database_that_can_be_followed(box):
    path = closed(box, *SHOP)
    found = check(box, path)
    expect(found["database"] == path and not of_level(found, "warning"), "%s", found)
    expect(found["tables"] == [
        {"table": "lines", "events": True, "why": None, "topic": "app.lines",
         "key": ["order_id", "n"]},
        {"table": "logs", "events": True, "why": None, "topic": "app.logs",
         "key": ["id"]},
        {"table": "notes", "events": True, "why": None, "topic": "app.notes", "key": []},
        {"table": "orders", "events": True, "why": None, "topic": "app.orders",
         "key": ["id"]}], "%s", found["tables"])
    expect(sorted(os.listdir(box.folder)) == ["app.db"], "%s", os.listdir(box.folder))


def test_beside_its_application(box):
    writer, path = box.database(*SHOP)
    writer.sql("c", "ALTER TABLE notes ADD COLUMN later")
    expect(len(check(box, path)["tables"]) == 4, "not all tables")
    writer.sql("c", "BEGIN IMMEDIATE", "CREATE TABLE more(x PRIMARY KEY)")
    expect(len(check(box, path)["tables"]) == 4, "what is not committed is told")
    writer.sql("c", "COMMIT")
    found = check(box, path)
    expect([t["table"] for t in found["tables"]] == ["lines", "logs", "more", "notes",
                                                     "orders"], "%s", found)


def test_a_wal_that_a_killed_application_left(box):
    """No -shm is made to read it."""
    writer, path = box.database(TABLE)
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)", "CREATE TABLE second(x)")
    for name in ("app.db", "app.db-wal"):
        shutil.copy(box.path(name), box.path("copy" + name[3:]))
    found = check(box, box.path("copy.db"))
    expect([t["table"] for t in found["tables"]] == ["second", "t"], "%s", found)
    expect(not os.path.exists(box.path("copy.db-shm")), "a -shm was made")


def test_databases_that_are_none(box):
    os.mkdir(box.path("folder.db"))
    open(box.path("empty.db"), "w").close()
    with open(box.path("text.db"), "w") as out:
        out.write("this is a text\n" * 500)
    for name, word in (("none.db", "no such file"), ("no/none.db", "no such file"),
                       ("folder.db", "is a directory"), ("empty.db", "is empty"),
                       ("text.db", "not a SQLite database")):
        both(box, box.path(name), code=3, said=word, count=1)
        both(box, box.path(name), "--state", box.path("state"), code=3, said=word,
             run=("--once",))


def test_a_name_beside_it_that_is_no_file(box):
    for end in ("-wal", "-shm"):
        path = closed(box, TABLE, name="app%s.db" % end)
        os.mkdir(path + end)
        both(box, path, code=3, said="is not a regular file", count=1)


def test_databases_that_cannot_be_followed(box):
    path = closed(box, TABLE, wal=False)
    both(box, path, code=3, said="journal_mode=WAL", count=1)
    path = closed(box, TABLE, name="cut.db")
    os.truncate(path, 60)
    both(box, path, code=3, said="cut off within its header", count=1)
    path = closed(box, TABLE, name="damaged.db")
    with open(path, "r+b") as out:
        out.seek(100)
        out.write(b"\xff" * 400)
    both(box, path, code=3, said="is corrupt", count=1)


def test_one_that_is_locked_exclusively(box):
    exclusive_writer(box)
    both(box, box.path(), code=3, said="locked exclusively", count=1, timeout=60)


def test_a_rollback_journal_that_was_left(box):
    """Beside an application that has the database open, too."""
    path = closed(box, TABLE)
    for content, code in ((b"", 0), (bytes(512), 0), (b"a journal" * 100, 3)):
        with open(path + "-journal", "wb") as out:
            out.write(content)
        check(box, path, code=code, said="rollback journal" if code else None)
    result = box.run(path, "--snapshot", "--once")
    expect(result.code == 3, "%s", result)
    os.remove(path + "-journal")
    writer = box.writer()
    writer.open("c", path)
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    with open(path + "-journal", "wb") as out:
        out.write(b"a journal" * 100)
    both(box, path, code=3, said="rollback journal", count=1)


def test_a_file_with_two_names_is_a_warning(box):
    path = closed(box, TABLE)
    os.link(path, box.path("other.db"))
    warned(check(box, path), "has 2 names (hard links)")


def test_permissions(box):
    """A run as another user is refused, or waits."""
    path = closed(box, TABLE)
    change = as_nobody(box)
    os.chmod(path, 0o600)
    both(box, path, code=3, said="no permission to read", count=1, preexec=change)
    os.chmod(path, 0o644)
    found = check(box, path, "--snapshot", "--once", code=3,
                  said="no application has it open", preexec=change)
    warned(found, "may only read it")
    result = box.run(path, "--snapshot", "--once", preexec=change)
    expect(result.code == 3, "%s", result)
    warned(check(box, path, preexec=change), "waits until an application has it open")


def test_permissions_beside_the_application(box):
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    change = as_nobody(box)
    for name in (path, path + "-wal"):
        os.chmod(name, 0o644)
    os.chmod(path + "-shm", 0o600)
    both(box, path, code=3, said="app.db-shm", count=1, preexec=change)
    os.chmod(path + "-shm", 0o644)
    warned(check(box, path, preexec=change), "may only read it")
    result = box.run(path, "--snapshot", "--once", preexec=change)
    expect(result.code == 0, "%s", result)


def test_a_database_that_is_waited_for(box):
    found = check(box, box.path(), "--wait")
    warned(found, "is not there yet: a run waits for it")
    path = closed(box, TABLE, wal=False)
    warned(check(box, path, "--wait"), "is not in WAL mode yet")
    warned(check(box, path, "--wait", "--state", box.path("state")), "not in WAL mode")


# -- settings --------------------------------------------------------------------------


def test_all_settings_that_cannot_be_taken_are_told(box):
    path = closed(box, TABLE)
    wrong = ["-D", "no.such=1", "-D", "snapshot.mode=often", "-D", "table.include.lst=t"]
    found = both(box, path, *wrong, code=2, count=3, run=("--once",),
                 said=["no.such", "snapshot.mode", "table.include.list"])
    expect("in WAL mode" in " ".join(of_level(found, "ok")), "%s", found)
    result = box.run(path, *wrong)
    expect(all(w in result.err.decode() for w in ("no.such", "snapshot.mode",
                                                  "table.include.lst")), "%s", result)


def test_settings_that_do_not_go_together(box):
    path = closed(box, TABLE)
    both(box, path, "-D", "table.include.list=t", "-D", "table.exclude.list=u",
         "-D", "notification.enabled.channels=file", "--archive", box.path("archive"),
         code=2, count=3, said=["exclude each other", "notification.file",
                                "--archive needs --state"])
    expect(not os.path.exists(box.path("archive")), "an archive was made")
    # What follows from a problem is none of its own.
    both(box, path, "--to", "kafka://127.0.0.1:1", "--state=none", "--archive", "x",
         code=2, said="--state=none goes with", count=1, run=("--once",))
    both(box, path, "--to", "nowhere:x", code=2, said="--to nowhere:x", count=1)


def test_settings_of_a_file(box):
    path = closed(box, TABLE)
    with open(box.path("connector"), "w") as out:
        json.dump({"name": "x", "config": {"database.file.path": path,
                                           "topic.prefix": "shop",
                                           "database.hostname": "db"}}, out)
    found = check(box, "--config", box.path("connector"))
    expect(found["tables"][0]["topic"] == "shop.t", "%s", found)
    warned(found, "database.hostname")
    both(box, "--config", box.path("none"), path, code=2, said="none", count=1)


def test_usage(box):
    path = closed(box, TABLE)
    for args in (["check"], ["check", path, path], ["check", path, "--no-such"],
                 ["check", path, "--at", "latest"]):
        result = box.run(*args)
        expect(result.code == 2 and len(result.error_lines) >= 1, "%s", result)


def test_the_first_problem_of_a_run_gives_the_exit_code(box):
    path = closed(box, TABLE, wal=False)
    both(box, path, "-D", "no.such=1", code=2, count=2, said=["no.such", "journal_mode"])
    both(box, path, "--to", "file:" + path, code=2, count=2, run=("--once",),
         said=["a file of the database", "journal_mode"])
    os.mkdir(box.path("foreign"))
    open(box.path("foreign/letter"), "w").close()
    both(box, path, "--state", box.path("foreign"), code=2, count=2, run=("--once",),
         said=["there is", "journal_mode"])
    both(box, box.path("none"), "--state", box.path("foreign"), code=3, count=1,
         run=("--once",), said="no such file")


# -- tables ----------------------------------------------------------------------------


def test_filters_and_the_tables_that_they_match(box):
    path = closed(box, *SHOP)
    found = check(box, path, "-D", "table.include.list=ord.*,lines,nots,nothing.*",
                  "-D", "column.exclude.list=orders.prise")
    expect({t["table"]: t["events"] for t in found["tables"]}
           == {"lines": True, "logs": False, "notes": False, "orders": True}, "%s", found)
    expect({t["why"] for t in found["tables"] if not t["events"]}
           == {"not in table.include.list"}, "%s", found)
    warned(found, '"nots" matches no table; the nearest is notes', '"nothing.*"',
           '"orders.prise" matches no column')


def test_filters_that_leave_nothing(box):
    path = closed(box, *SHOP)
    both(box, path, "-D", "table.include.list=order", code=2, count=1,
         said="the nearest is orders")
    both(box, path, "-D", "table.exclude.list=.*", code=2, count=1,
         said="leaves nothing to capture")
    both(box, path, "--state", box.path("state"), "-D", "table.exclude.list=.*", code=2,
         said="leaves nothing to capture", run=("--once",))
    both(box, path, "-D", "table.include.list=(", code=2, said="table.include.list")


def test_keys(box):
    path = closed(box, *SHOP)
    found = check(box, path, "-D", "message.key.columns=notes:text;orders:item,price")
    expect({t["table"]: t["key"] for t in found["tables"]}
           == {"lines": ["order_id", "n"], "logs": ["id"], "notes": ["text"],
               "orders": ["item", "price"]}, "%s", found)
    lines = box.run("check", path).out.decode().splitlines()
    expect("table    lines: events, topic app.lines, key order_id, n" in lines
           and "table    notes: events, topic app.notes, no key" in lines, "%s", lines)


def test_tables_that_would_share_a_topic(box):
    path = closed(box, 'CREATE TABLE "a b"(id INTEGER PRIMARY KEY)',
                  'CREATE TABLE "a_b"(id INTEGER PRIMARY KEY)',
                  'CREATE TABLE "a/b"(id INTEGER PRIMARY KEY)', TABLE,
                  'CREATE TABLE "transaction"(x)')
    found = both(box, path, "-D", "provide.transaction.metadata=true", code=2, count=4,
                 said=["a/b and a b would share the topic app.a_b", "a_b and a/b",
                       "a_b and a b", "the transaction metadata"])
    expect(len(found["tables"]) == 5, "%s", found)
    # A run tells them all, too.
    result = box.run(path, "-D", "provide.transaction.metadata=true")
    expect(result.code == 2 and len(result.error_lines) == 5, "%s", result)
    both(box, path, code=2, count=3, said="share the topic")
    check(box, path, "-D", "table.exclude.list=a.b")
    result = box.run(path, "-D", "table.exclude.list=a/b,a b", "--once", "--snapshot")
    expect(result.code == 0, "%s", result)


def test_tables_that_a_router_brings_together(box):
    path = closed(box, *SHOP)
    found = check(box, path, "-D", "transforms=r", "-D",
                  "transforms.r.type=org.apache.kafka.connect.transforms.RegexRouter",
                  "-D", "transforms.r.regex=app.*", "-D",
                  "transforms.r.replacement=all")
    expect({t["topic"] for t in found["tables"]} == {"all"}, "%s", found)


# -- where it goes ---------------------------------------------------------------------


def test_output_files(box):
    path = closed(box, TABLE)
    for name, word in (("app.db", "a file of the database"),
                       ("app.db-wal", "a file of the database"),
                       ("no/out", "no file can be made"),
                       ("app.db-rowtail/out", "in the state directory")):
        both(box, path, "--to", "file:" + box.path(name), code=2, said=word, count=1,
             run=("--once",))
    open(box.path("out"), "w").close()
    os.link(box.path("out"), box.path("second"))
    both(box, path, "--to", "file:" + box.path("out"), code=2, said="has 2 names",
         count=1, run=("--once",))
    shutil.rmtree(box.path("app.db-rowtail"))
    os.remove(box.path("out"))
    check(box, path, "--to", "file:" + box.path("out"))


def test_an_output_file_that_another_run_writes(box):
    writer, path = box.database(TABLE)
    out = "file:" + box.path("out")
    tail = box.tail(path, "--to", out, "--state", box.path("one"))
    args = [path, "--to", out, "--state", box.path("two")]
    result = box.run("check", *args)
    if result.code == 0:
        # Where /proc/locks has another device than stat it cannot be told.
        with open("/proc/locks") as locks:
            device = os.stat(box.path("out")).st_dev
            expect("%02x:%02x:%d" % (os.major(device), os.minor(device),
                                     os.stat(box.path("out")).st_ino)
                   not in locks.read(), "%s", result)
    else:
        expect(result.code == 2 and b"another process is writing it" in result.out, "%s",
               result)
    expect(not os.path.exists(box.path("two")), "a state directory was made")
    expect(box.run(*args, "--once").code == 2, "a run is not refused")
    box.stop(tail)


def test_an_audit_log(box):
    path = closed(box, *SHOP)
    found = check(box, path, "--to", "audit:" + box.path("log"))
    expect(all(t["topic"] is None and t["events"] for t in found["tables"]), "%s", found)
    both(box, path, "--to", "audit:" + box.path("no/log"), code=2, count=1,
         said="no file can be made", run=("--once",))
    both(box, path, "--to", "audit:" + box.path("app.db-wal"), code=2, count=1,
         said="a file of the database", run=("--once",))


def test_an_audit_log_that_is_there(box):
    """Whole, altered, another's, and without its key."""
    path = closed(box, TABLE, "INSERT INTO t VALUES (1, 'one')")
    args = [path, "--to", "audit:" + box.path("log"), "--state", box.path("state")]
    result = box.run(*args, "--once")
    expect(result.code == 0, "%s", result)
    check(box, *args)
    both(box, path, *args[1:3], "--state", box.path("other"), code=2, count=1, said="log",
         run=("--once",))
    shutil.rmtree(box.path("other"))
    os.rename(box.path("state/audit-key"), box.path("key"))
    both(box, *args, code=2, count=1, said="audit-key", run=("--once",))
    check(box, *args, "--accept-gap")
    os.rename(box.path("key"), box.path("state/audit-key"))
    with open(box.path("log"), "r+b") as file:
        content = file.read()
        file.seek(content.index(b'"one"'))
        file.write(b'"two"')
    both(box, *args, code=1, count=1, said="log", run=("--once",))
    check(box, *args, "--accept-gap")


def test_an_audit_log_that_another_run_writes(box):
    writer, path = box.database(TABLE)
    args = [path, "--to", "audit:" + box.path("log"), "--state"]
    tail = box.tail(*args, box.path("one"))
    result = box.run("check", *args, box.path("two"))
    expect(result.code in (0, 2), "%s", result)       # 0: /proc/locks has other devices
    if result.code:
        expect(b"another process is writing it" in result.out, "%s", result)
    expect(box.run(*args, box.path("two"), "--once").code == 2, "not refused")
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    box.stop(tail)


def test_an_address_for_metrics_that_is_taken(box):
    path = closed(box, TABLE)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        both(box, path, "-D", "metrics.listen=" + address, code=1, count=1,
             said="cannot listen there")
    check(box, path, "-D", "metrics.listen=" + address)
    both(box, path, "-D", "metrics.listen=nowhere", code=2, count=1,
         said="metrics.listen")
    with open(box.path("file"), "w"):
        both(box, path, "-D", "metrics.listen=unix:" + box.path("file"), code=1,
             said="cannot listen there", count=1)
    both(box, path, "-D", "metrics.listen=unix:" + box.path("no/socket"), code=1,
         said="cannot listen there", count=1)
    check(box, path, "-D", "metrics.listen=unix:" + box.path("socket"))
    expect(not os.path.exists(box.path("socket")), "a socket was made")


def test_a_new_sink_is_met_before_the_database(box):
    """In the order in which a run comes to them: the first decides on the code."""
    path = box.path("app.db")
    with sqlite3.connect(path) as db:
        db.execute(TABLE)
    db.close()
    with open(box.path("log"), "w") as file:
        file.write("mine")
    args = [path, "--to", "audit:" + box.path("log")]
    both(box, *args, code=2, said=["is no audit log", "is not in WAL mode"], count=2,
         run=("--once",))


# -- the state directory ---------------------------------------------------------------


def kept(box, *statements, args=()):
    """A database, and a state directory that a run has left."""
    path = closed(box, *(statements or (TABLE, "INSERT INTO t VALUES (1, 1)")))
    result = box.run(path, "--state", box.path("state"), "--once", *args)
    expect(result.code == 0, "%s", result)
    return path


def test_a_state_directory_that_is_not_there_is_not_made(box):
    path = closed(box, TABLE)
    found = check(box, path, "--state", box.path("state"))
    expect(any("would be made" in t for t in of_level(found, "ok"))
           and any("room for the copy" in t for t in of_level(found, "ok")), "%s", found)
    # Nor one that an administrator made is closed.
    os.mkdir(box.path("state"), 0o755)
    check(box, path, "--state", box.path("state"))
    expect(stat.S_IMODE(os.stat(box.path("state")).st_mode) == 0o755, "it was closed")
    result = box.run(path, "--state", box.path("state"), "--once")
    expect(result.code == 0, "%s", result)
    check(box, path, "--state", box.path("state"))


def test_state_directories_that_cannot_be_used(box):
    path = closed(box, TABLE)
    open(box.path("a-file"), "w").close()
    os.mkdir(box.path("foreign"))
    open(box.path("foreign/letter"), "w").close()
    os.mkdir(box.path("open"))
    os.chmod(box.path("open"), 0o777)
    os.symlink("foreign", box.path("link"))
    for name, word in (("a-file", "is not a directory"), ("no/state", "make that first"),
                       ("foreign", "there is"), ("open", "can be written to by others"),
                       ("link", "symbolic link"), ("app.db-wal", "name that SQLite")):
        both(box, path, "--state", box.path(name), code=2, said=word, count=1,
             run=("--once",))
    os.makedirs(box.path("locked"), 0o700)
    change = as_nobody(box)
    os.chmod(path, 0o644)
    check(box, path, "--state", box.path("locked/state"), "--once", code=2,
          said="locked", preexec=change)
    result = box.run(path, "--state", box.path("locked/state"), "--once", preexec=change)
    expect(result.code == 2, "%s", result)


def test_a_state_directory_of_another_database(box):
    kept(box)
    other = closed(box, TABLE, name="other.db")
    both(box, other, "--state", box.path("state"), code=2, said="is of the database",
         count=1, run=("--once",))


def test_a_state_directory_that_is_damaged(box):
    path = kept(box)
    with open(box.path("state/meta"), "r+b") as out:
        out.seek(20)
        out.write(b"\xff\xff\xff\xff")
    both(box, path, "--state", box.path("state"), code=1, said="is damaged", count=1,
         run=("--once",))
    os.remove(box.path("state/meta"))
    both(box, path, "--state", box.path("state"), code=1, said="missing", count=1,
         run=("--once",))


def test_a_position_that_is_not_there_is_made_anew(box):
    path = kept(box)
    os.remove(box.path("state/position"))
    check(box, path, "--state", box.path("state"))
    expect(box.run(path, "--state", box.path("state"), "--once").code == 0, "a run fails")


def test_settings_that_differ_from_those_of_the_last_run(box):
    path = kept(box)
    state = ["--state", box.path("state")]
    expect(not check(box, path, *state)["settings"], "nothing differs")
    found = check(box, path, *state, "-D", "topic.prefix=shop", "-D",
                  "table.include.list=t", "-D",
                  "column.mask.hash.SHA-256.with.salt.pepper=t.a")
    differ = {s["name"]: (s["was"], s["is"]) for s in found["settings"]}
    expect(differ["topic.prefix"] == ("app", "shop")
           and differ["table.include.list"] == (None, "t") and len(differ) == 3
           and "pepper" not in json.dumps(found), "%s", found)
    warned(found, "the settings differ from those of the last run")
    expect(any("goes on from LSN" in t for t in of_level(found, "ok")), "%s", found)
    warned(check(box, path, *state, "--snapshot"), "takes its snapshot at its first start")


def test_a_database_with_other_pages_than_the_state_directory(box):
    path = kept(box)
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=DELETE", "PRAGMA page_size=8192", "VACUUM",
                      "PRAGMA journal_mode=WAL"):
        connection.execute(statement).fetchall()
    connection.close()
    warned(check(box, path, "--state", box.path("state")), "pages of 8192 now")
    result = box.run(path, "--state", box.path("state"), "--once")
    expect(result.code == 0, "%s", result)


def test_too_little_room_for_the_copy(box):
    path = closed(box, TABLE, "INSERT INTO t VALUES (1, zeroblob(3000000))")
    disk = SmallDisk(box, "disk", 1 << 20)
    before = listing(disk.path)
    result = box.run("check", path, "--state", disk.path + "/state")
    expect(result.code == 1 and b"less than 10 % of the disk free" in result.out, "%s",
           result)
    same(before, listing(disk.path))
    result = box.run(path, "--state", disk.path + "/state", "--once")
    expect(result.code == 1, "%s", result)


# -- archives --------------------------------------------------------------------------


def test_archives(box):
    path = closed(box, TABLE, "INSERT INTO t VALUES (1, 1)")
    one, archive = ["--state", box.path("one")], ["--archive", box.path("archive")]
    found = check(box, path, *one, *archive)
    expect(any("would be made" in t for t in of_level(found, "ok")), "%s", found)
    both(box, path, *one, "--archive", box.path("no/archive"), code=2, count=1,
         said="make the folder above it first", run=("--once",))
    shutil.rmtree(box.path("one"))
    result = box.run(path, *one, *archive, "--once")
    expect(result.code == 0, "%s", result)
    found = check(box, path, *one, *archive)
    expect(any("is in reach, and ours" in t for t in of_level(found, "ok")), "%s", found)
    # It is nobody else's.
    both(box, path, "--state", box.path("two"), *archive, code=2, count=1,
         said="of another state directory", run=("--once",))
    shutil.rmtree(box.path("two"))
    # A disk that is not mounted is waited for.
    os.rename(box.path("archive"), box.path("elsewhere"))
    warned(check(box, path, *one, *archive), "was there before and is not now")


def test_an_archive_that_is_ahead_of_the_state_directory(box):
    path = closed(box, TABLE, "INSERT INTO t VALUES (1, 1)")
    args = ["--state", box.path("state"), "--archive", box.path("archive")]
    expect(box.run(path, *args, "--once").code == 0, "no first run")
    shutil.copytree(box.path("state"), box.path("backup"))
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO t VALUES (2, 2)")
    connection.commit()
    connection.close()
    expect(box.run(path, *args, "--once").code == 0, "no second run")
    shutil.rmtree(box.path("state"))
    shutil.move(box.path("backup"), box.path("state"))
    both(box, path, *args, code=2, said="archive", count=1, run=("--once",))


# -- beside others ---------------------------------------------------------------------


def test_beside_a_run(box):
    """It says who has the state directory, and the run goes on undisturbed."""
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    tail = box.tail(path, "--state", box.path("state"))
    expect(tail.wait_lines(1), "no event")
    args = [path, "--state", box.path("state")]
    for i in range(5):
        result = box.run("check", *args, "--json")
        found = json.loads(result.out)
        expect(result.code == 2 and len(of_level(found, "problem")) == 1
               and ("in use by process %d" % tail.pid) in of_level(found, "problem")[0]
               and len(found["tables"]) == 1, "%s", result)
        writer.sql("c", "INSERT INTO t VALUES (%d, 1)" % (i + 10))
    expect(box.run(*args).code == 2, "a second run is not refused")
    expect(tail.wait_lines(5), "events are missing")
    # Another run, without a state directory, would be possible.
    expect(box.run("check", path).code == 0, "not without one")
    box.stop(tail)
    check(box, *args)


def test_beside_a_writer_that_never_pauses(box):
    """It finds the schema, and nobody is told BUSY or loses a commit."""
    writer, path = box.database(*SHOP)
    tail = box.tail(path)
    ends, errors, done = threading.Event(), [], [0]

    def write():
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        while not ends.is_set():
            try:
                connection.execute("INSERT INTO notes VALUES (?)", ["x" * 200])
                if done[0] % 50 == 0:
                    connection.execute("CREATE TABLE IF NOT EXISTS n%d(a PRIMARY KEY)"
                                       % done[0])
                done[0] += 1
            except sqlite3.Error as problem:
                errors.append(str(problem))
        connection.close()
    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(10):
            result = box.run("check", path, "--json", timeout=30)
            expect(result.code == 0, "%s", result)
            names = {t["table"] for t in json.loads(result.out)["tables"]}
            expect({"orders", "lines", "notes", "logs"} <= names, "%s", names)
    finally:
        ends.set()
        thread.join()
    expect(not errors, "%s", errors[:3])
    expect(tail.wait_lines(done[0], 60), "%d events of %d", tail.available(), done[0])
    box.stop(tail)


def test_it_is_in_nobodys_way_while_it_looks(box):
    """The last application that closes empties the WAL and removes it, as ever."""
    writer, path = box.database(TABLE, "INSERT INTO t VALUES (1, 1)")
    check(box, path)
    writer.close_connection("c")
    expect(sorted(os.listdir(box.folder)) == ["app.db"], "%s", os.listdir(box.folder))


# -- Kafka -----------------------------------------------------------------------------


def test_a_broker_that_is_out_of_reach(box):
    """A run would wait for it, with --once for a minute: exit 1."""
    path = closed(box, TABLE)
    result = box.run("check", path, "--to", "kafka://127.0.0.1:1", "--json", timeout=60)
    found = json.loads(result.out)
    expect(result.code == 1 and len(of_level(found, "problem")) == 1
           and "out of reach" in of_level(found, "problem")[0], "%s", result)
    expect(sorted(os.listdir(box.folder)) == ["app.db"], "%s", os.listdir(box.folder))
    both(box, path, "--to", "kafka://127.0.0.1:1", "-D", "producer.no.such=1", code=2,
         said="producer.no.such", count=1, run=("--once",))

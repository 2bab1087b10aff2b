"""Whose files hold the rows: a state directory that another made, or may read, is none.

Root runs these; another user is 65534 in a child process.
"""

import json
import os
import struct
import subprocess

from harness.box import NotRun, expect

NOBODY = 65534
TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
SECRET = "only-for-root"
ROW = "INSERT INTO t VALUES (NULL, '%s')" % SECRET

# u::rw, u:nobody:rwx, g::---, m::rwx, o::---
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, bits, who) for tag, bits, who in (
        (1, 7, 0xffffffff), (2, 7, NOBODY), (4, 0, 0xffffffff), (16, 7, 0xffffffff),
        (32, 0, 0xffffffff)))
SCHEMA_ACL = "system.posix_acl_access"


def become_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def need_root(box):
    if os.getuid() != 0:
        raise NotRun("only root can act as two users")


def as_nobody(do, *args):
    """Calls `do` in a child that is the other user; returns what it returned."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            become_nobody()
            os.write(writable, json.dumps(do(*args)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writable)
    with os.fdopen(readable) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    expect(status == 0, "the other user's part failed")
    return json.loads(text)


def make_it_first(state, names):
    os.umask(0)
    os.mkdir(state, 0o777)
    for name in names:
        open(os.path.join(state, name), "w").close()
        os.chmod(os.path.join(state, name), 0o666)


def files_with(state, text):
    """Names of the files in which this user can read `text`."""
    found = []
    for name in sorted(os.listdir(state)):
        try:
            with open(os.path.join(state, name), "rb") as file:
                if text.encode() in file.read():
                    found.append(name)
        except OSError:
            pass
    return found


def private_database(box, *statements):
    """In a folder like /tmp: everybody may make files, nobody another's away."""
    os.chmod(box.folder, 0o1777)
    writer, path = box.database(TABLE, ROW, *statements)
    for end in ("", "-wal", "-shm"):
        os.chmod(path + end, 0o600)
    return writer, path


def refused(box, path, state, *words):
    """Exit 2, one line that names the state directory, what is wrong and what to do."""
    result = box.run(path, "--state", state, "--once")
    expect(result.code == 2, "exit %s, expected 2\n%s", result.code, result)
    expect(len(result.error_lines) == 1, "not one line:\n%s", result)
    expect(result.out == b"", "rows on stdout: %s", result)
    for word in words + (os.path.basename(state), "use another --state"):
        expect(word in result.error_lines[0], "it does not say %r:\n%s", word, result)
    return result.error_lines[0]


def test_a_directory_that_another_user_made_first(box):
    """It was used once, and its maker read the rows in a `frames` of its own."""
    need_root(box)
    for names in ((), ("frames",), ("frames", "lock", "position", "shadow", "hashes",
                                    "error")):
        _, path = private_database(box)
        state = path + "-rowtail"
        as_nobody(make_it_first, state, names)
        refused(box, path, state, "belongs to user 65534")
        # The name that is taken when nobody gives one.
        result = box.run(path, "--to", "file:" + box.path("out"), "--once")
        expect(result.code == 2 and "belongs to user 65534" in result.error_lines[0],
               "%s", result)
        found = as_nobody(files_with, state, SECRET)
        expect(not found, "rows can be read in %s", found)
        expect(not os.path.exists(os.path.join(state, "meta")), "it was used")
        subprocess.run(["rm", "-rf", state], check=True)
        for end in ("", "-wal", "-shm"):
            os.unlink(path + end)


def follow(box, writer, path, *args):
    """A run that has the rows of its database in its state directory."""
    tail = box.tail(path, *args, "-D", "snapshot.mode=initial")
    expect(tail.wait_lines(1), "no snapshot")
    for _ in range(50):
        writer.sql("c", ROW)
    expect(tail.wait_lines(51), "no events")
    return tail


def test_what_it_makes_in_a_folder_of_everybodys_is_closed(box):
    need_root(box)
    writer, path = private_database(box)
    old = os.umask(0)
    try:
        tail = follow(box, writer, path, "--state", path + "-rowtail")
    finally:
        os.umask(old)
    state = path + "-rowtail"
    expect(os.stat(state).st_mode & 0o7777 == 0o700, "mode of the folder")
    for name in os.listdir(state):
        expect(os.stat(os.path.join(state, name)).st_mode & 0o7777 == 0o600,
               "mode of %s", name)
    box.stop(tail)


def test_a_directory_and_its_files_are_closed_to_others(box):
    """Mode and ACL, of the directory and of each file in it."""
    writer, path = private_database(box)
    state = box.path("state")
    box.stop(follow(box, writer, path, "--state", state))
    names = sorted(os.listdir(state))
    expect({"lock", "meta", "position", "shadow", "hashes", "frames"} <= set(names),
           "files: %s", names)
    for mode in (0o777, 0o755, 0o750, 0o702, 0o1777):
        os.chmod(state, mode)
        refused(box, path, state, "chmod -R go= ")
    os.chmod(state, 0o700)
    for name in names:
        file = os.path.join(state, name)
        for mode in (0o644, 0o640, 0o602, 0o666):
            os.chmod(file, mode)
            refused(box, path, state, name, "chmod go= ")
        os.chmod(file, 0o600)
    for thing in [state] + [os.path.join(state, n) for n in names]:
        before = os.stat(thing).st_mode & 0o7777
        try:
            os.setxattr(thing, SCHEMA_ACL, ACL)
        except OSError:
            break                           # no ACLs here
        refused(box, path, state, "chmod ")
        os.removexattr(thing, SCHEMA_ACL)
        os.chmod(thing, before)
    result = box.run(path, "--state", state, "--once")
    expect(result.code == 0 and result.out == b"", "closed again, and not used: %s",
           result)


def test_what_the_message_says_to_do_helps(box):
    writer, path = private_database(box)
    state = box.path("a state")
    box.stop(follow(box, writer, path, "--state", state))
    os.chmod(state, 0o755)
    os.chmod(os.path.join(state, "frames"), 0o644)
    line = refused(box, path, state)
    command = line[line.index("chmod -R"):line.index(", or use")]
    subprocess.run(["sh", "-c", command], check=True)
    result = box.run(path, "--state", state, "--once")
    expect(result.code == 0, "%s", result)
    os.link(os.path.join(state, "frames"), box.path("other"))
    line = refused(box, path, state, "hard link")
    command = line[line.index("(cp ") + 1:line.index("), or use")]
    subprocess.run(["sh", "-c", command], check=True)
    result = box.run(path, "--state", state, "--once")
    expect(result.code == 0, "%s", result)


def test_links_are_not_followed_and_not_written_through(box):
    writer, path = private_database(box)
    state = box.path("state")
    box.stop(follow(box, writer, path, "--state", state))
    os.symlink(state, box.path("link"))
    refused(box, path, box.path("link"), "symbolic link")
    os.unlink(box.path("link"))
    os.symlink(box.path("nowhere"), box.path("link"))
    refused(box, path, box.path("link"), "symbolic link")
    expect(not os.path.exists(box.path("nowhere")), "it was made")
    with open(box.path("precious"), "w") as out:
        out.write("precious")
    os.chmod(box.path("precious"), 0o600)
    names = sorted(os.listdir(state))
    for name in names + ["meta.new", "error", "error.new", "log.new",
                         "log-00000000000000ff"]:
        file = os.path.join(state, name)
        if name in names:
            os.rename(file, file + ".aside")
        os.symlink(box.path("precious"), file)
        refused(box, path, state, name, "symbolic link")
        os.unlink(file)
        os.link(box.path("precious"), file)
        refused(box, path, state, name, "hard link")
        os.unlink(file)
        if name in names:
            os.rename(file + ".aside", file)
    with open(box.path("precious")) as source:
        expect(source.read() == "precious", "it was written to")
    writer.sql("c", ROW)
    result = box.run(path, "--state", state, "--once")
    expect(result.code == 0 and len(result.out.splitlines()) == 1, "%s", result)


def test_files_of_another_user_are_refused(box):
    need_root(box)
    writer, path = private_database(box)
    state = box.path("state")
    box.stop(follow(box, writer, path, "--state", state))
    for name in sorted(os.listdir(state)):
        os.chown(os.path.join(state, name), NOBODY, NOBODY)
        refused(box, path, state, name, "belongs to user 65534")
        os.chown(os.path.join(state, name), 0, 0)
    os.chown(state, NOBODY, NOBODY)
    refused(box, path, state, "belongs to user 65534")
    os.chown(state, 0, 0)
    result = box.run(path, "--state", state, "--once")
    expect(result.code == 0, "%s", result)


def test_a_folder_that_an_administrator_made_is_taken_and_closed(box):
    _, path = private_database(box)
    state = box.path("state")
    os.mkdir(state, 0o700)
    os.chmod(state, 0o755)
    result = box.run(path, "--state", state, "--once")
    expect(result.code == 0 and len(result.out.splitlines()) == 1, "%s", result)
    expect(os.stat(state).st_mode & 0o7777 == 0o700, "mode of the folder")


def test_a_directory_of_another_user_can_be_looked_at(box):
    """root looks after the services of others; nothing is written."""
    need_root(box)
    writer, path = private_database(box)
    state = box.path("state")
    box.stop(follow(box, writer, path, "--state", state))
    for name in os.listdir(state):
        os.chown(os.path.join(state, name), NOBODY, NOBODY)
    os.chown(state, NOBODY, NOBODY)
    result = box.run("status", "--state", state, "--json")
    expect(result.code == 0 and json.loads(result.out), "%s", result)
    result = box.run("verify", "--state", state, path)
    expect(result.code == 0, "%s", result)


def test_the_spool_is_closed(box):
    """What has no state directory spools into a file that nobody else can open."""
    need_root(box)
    writer, path = private_database(box)
    tail = box.tail(path, take=False)       # nobody reads its output
    for _ in range(40):
        writer.sql("c", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                   " SELECT i + 1 FROM n WHERE i < 20000)"
                   " SELECT NULL, '%s' FROM n" % SECRET)
    files = ["/proc/%d/fd/%s" % (tail.process.pid, fd) for fd in os.listdir(
        "/proc/%d/fd" % tail.process.pid)]
    spool = [f for f in files if box.folder not in os.readlink(f)
             and ("/var/tmp" in os.readlink(f)
                  or os.environ.get("TMPDIR", "/var/tmp") in os.readlink(f))]
    expect(spool, "no spool among %s", [os.readlink(f) for f in files])
    for file in spool:
        st = os.stat(file)
        expect(st.st_mode & 0o7777 == 0o600 and st.st_nlink == 0, "mode %o, %d names",
               st.st_mode, st.st_nlink)
    tail.close()

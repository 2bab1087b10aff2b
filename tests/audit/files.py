"""Files of an audit log: new ones with keys of their own, compressed ones, and those that
go when their time has come."""

import base64
import glob
import json
import os
import re
import shutil
import signal
import subprocess

from audit.log import Audited, TABLE, Turned, end, many, newest
from audit.proofs import root_of_line, take_apart
from harness.audit import files_of, head_of, leaf_hash, read_file
from harness.box import NotRun, expect

PLAIN = ("-D", "audit.compress=false")


def test_each_file_has_a_key_of_its_own_and_is_compressed(box):
    turned = Turned(box)
    log = turned.matches()
    expect(len(log.files) == 3, "files: %s", log.files)
    for first, name in turned.files()[:-1]:
        expect(name.endswith(".zst") and not os.path.exists(name[:-4]), "%s", name)
        expect(os.stat(name).st_mode & 0o777 == 0o600, "the mode of %s", name)
    expect(os.path.samefile(turned.path, newest(turned.path)), "PATH is another file")
    keys = turned.keys()
    expect(len(set(keys)) == 3, "%s", keys)
    with open(os.path.join(turned.state, "audit-key")) as file:
        secret = base64.b64decode(file.readline().split("+", 4)[-1])
    expect(not os.path.exists(os.path.join(turned.state, "audit-key.next")), "a key")
    expect(len(secret) == 33, "more than one key is left")
    turned.verify()
    turned.verify("--key", keys[0])
    for key in keys[1:]:                # a later one says nothing of those before it
        expect(turned.found("--key", key) == [("other key", 0, 0)], "%s", key)
    salts = [line["salt"] for line in log.lines if "salt" in line]
    expect(len(set(salts)) == len(salts), "a salt twice")


def test_a_large_file_is_closed(box):
    writer, path = box.database(TABLE)
    audited = Audited(box, path, "-D", "audit.rotate.bytes=20000")
    tail = audited.start()
    for i in range(30):
        writer.sql("c", many(100 * i, 100 * i + 20))
        box.wait_until(lambda: audited.count(b'"op":"insert"') == 21 * (i + 1),
                       timeout=60)
    box.stop(tail)
    log = audited.matches(signatures="last")
    expect(len(log.files) > 3, "files: %s", log.files)


def test_an_old_file_is_closed(box):
    """Its first line tells how old it is, whoever began it and whenever that was."""
    writer, path = box.database(TABLE)
    audited = Audited(box, path, "-D", "audit.rotate.hours=1")
    audited.once()
    audited.once()
    expect(len(files_of(audited.path)) == 1, "a file that is young was closed")
    for n in (1, 2):
        writer.sql("c", "INSERT INTO t VALUES (%d, 'x')" % n)
        audited.once(env=box.preloading("clock_ahead", CLOCK_AHEAD_S=str(3700 * n)))
        expect(len(files_of(audited.path)) == n + 1, "files: %s", files_of(audited.path))
    audited.matches()


def test_one_transaction_in_many_files(box):
    writer, path = box.database(TABLE)
    audited = Audited(box, path, "-D", "audit.rotate.bytes=1")
    writer.sql("c", many(1, 30000, "a row that makes the transaction long "))
    audited.once()
    log = audited.matches(signatures="last")
    expect(len(log.files) > 2, "files: %s", log.files)
    audited.verify()


def test_tail_goes_on(box):
    writer, path = box.database(TABLE)
    audited = Audited(box, path)
    tail = audited.start()
    with open(box.path("seen"), "wb") as seen:
        follower = subprocess.Popen(["tail", "-F", "-n", "+1", audited.path],
                                    stdout=seen, stderr=subprocess.DEVNULL)
    try:
        for i in range(3):
            writer.sql("c", "INSERT INTO t VALUES (%d, 'x')" % i)
            box.wait_until(lambda: audited.count(b'"op":"insert"') == i + 1)
            count = len(files_of(audited.path))
            tail.process.send_signal(signal.SIGHUP)
            box.wait_until(lambda: len(files_of(audited.path)) > count, timeout=30)
        box.wait_until(lambda: open(box.path("seen"), "rb").read().count(
            b'"op":"file"') == 4, timeout=60)
    finally:
        follower.kill()
        follower.wait()
    box.stop(tail)


def test_a_log_that_may_only_be_appended_to(box):
    """With a symbolic link as PATH it goes on from file to file."""
    writer, path = box.database(TABLE)
    audited = Audited(box, path)
    audited.once()
    first = newest(audited.path)
    os.remove(audited.path)
    os.symlink(os.path.basename(first), audited.path)
    if subprocess.run(["chattr", "+a", first], stderr=subprocess.DEVNULL).returncode:
        raise NotRun("chattr +a is not permitted here")
    try:
        tail = audited.start()
        writer.sql("c", "INSERT INTO t VALUES (1, 'x')")
        box.wait_until(lambda: audited.count(b'"op":"insert"') == 1)
        tail.process.send_signal(signal.SIGHUP)
        box.wait_until(lambda: newest(audited.path) != first, timeout=30)
        second = newest(audited.path)
        writer.sql("c", "INSERT INTO t VALUES (2, 'x')")
        box.wait_until(lambda: audited.count(b'"op":"insert"') == 2)
        box.stop(tail)
        expect(os.readlink(audited.path) == os.path.basename(second), "PATH")
        expect(os.path.exists(first), "a file that may only be appended to is gone")
        expect("cannot" not in tail.error_text(), "%s", tail.error_text())
        audited.once()
        audited.matches()
    finally:
        subprocess.run(["chattr", "-a", first], check=True)


def test_what_was_done_to_a_closed_file_is_found(box):
    turned = Turned(box)
    kept = shutil.copytree(os.path.dirname(turned.path), box.path("kept"))

    def again():
        for name in glob.glob(glob.escape(turned.path) + "*"):
            os.remove(name)
        for name in glob.glob(os.path.join(glob.escape(kept), "app.audit*")):
            shutil.copy2(name, os.path.dirname(turned.path))
        os.remove(turned.path)
        os.link(newest(turned.path), turned.path)
    (first, one), (second, two), (third, three) = turned.files()
    turned.replace(0, b'"a":"x3"', b'"a":"y3"')
    expect(turned.found()[0][0] == "altered", "%s", turned.found())
    again()
    turned.replace(1, b'"changed"', b'"chanked"')
    expect([kind for kind, *_ in turned.found()] == ["altered"], "%s", turned.found())
    again()                             # in the last line of a file, which is a head
    turned.replace(1, b'"position":{"uuid"', b'"position":{"uuiD"')
    expect("altered" in [kind for kind, *_ in turned.found()], "%s", turned.found())
    again()
    os.remove(two)
    expect(turned.found()[0] == ("missing", second, third - 1), "%s", turned.found())
    again()
    os.remove(one)
    expect(turned.found() == [("missing", 0, second - 1)], "%s", turned.found())
    again()
    with open(two, "r+b") as file:
        file.seek(os.path.getsize(two) // 2)
        file.write(b"\0" * 8)
    kinds = [kind for kind, *_ in turned.found()]
    expect("damaged" in kinds and "missing" in kinds, "%s", kinds)
    again()
    roots = json.loads(read_file(three).split(b"\n")[0])["frontier"]
    turned.replace(2, roots[0].encode(), base64.b64encode(b"x" * 32))
    expect("altered" in [kind for kind, *_ in turned.found()], "%s", turned.found())
    again()
    turned.verify("--key", turned.keys()[0])


def test_a_key_that_nobody_handed_over_to(box):
    """A thief of nothing but the files begins another one behind them."""
    turned = Turned(box, *PLAIN)
    name = turned.files()[2][1]
    data = read_file(name).split(b"\n")
    data[1] = re.sub(rb'"note":"[^"]*"', b'"note":""', data[1])
    turned.write(name, b"\n".join(data))
    kinds = [kind for kind, *_ in turned.found()]
    expect("other key" in kinds and "altered" in kinds, "%s", kinds)


def test_one_file_and_a_folder(box):
    turned = Turned(box)
    for first, name in turned.files():
        result = box.run("audit", "verify", name)
        expect(result.code == 0, "%s", result)
    folder = box.path("copies")
    os.mkdir(folder)
    for _, name in turned.files():
        shutil.copy(name, folder)
    result = box.run("audit", "verify", folder)
    expect(result.code == 0 and b"read %d lines" % (turned.log().tree.count) in
           result.out, "%s", result)
    # A copy of the newest under the name PATH is that file.
    shutil.copy(turned.path, os.path.join(folder, "app.audit"))
    result = box.run("audit", "verify", os.path.join(folder, "app.audit"))
    expect(result.code == 0, "%s", result)


def test_all_that_is_asked_is_asked_of_all_files(box):
    turned = Turned(box)
    log = turned.log()
    result = box.run("audit", "cat", turned.path)
    expect(result.out == b"".join(line + b"\n" for line in log.raw), "cat")
    result = box.run("audit", "history", turned.path, "t", "1", "--json")
    numbers = [line["n"] for line in json.loads(result.out)["lines"]]
    expect(numbers == [line["n"] for line in log.lines if line.get("key") == {"id": 1}],
           "%s", numbers)
    result = box.run("audit", "report", turned.path, "--op", "update", "--json")
    expect(json.loads(result.out)["counts"]["lines"] == 3, "%s", result)
    keys = box.run("audit", "key", turned.path).out.decode().split()
    expect(keys == turned.keys(), "%s", keys)


def gone(turned, *args):
    """Once more with these properties: what is there now."""
    turned.args = args
    turned.once()
    return [first for first, _ in turned.files()]


def test_what_is_past_its_time_goes(box):
    turned = Turned(box)
    before = [first for first, _ in turned.files()]
    expect(gone(turned, "-D", "audit.retention.days=1") == before, "it was young")
    expect(gone(turned, "-D", "audit.retention.bytes=1000000") == before, "room")
    turned.matches()
    now = gone(turned, "-D", "audit.retention.bytes=1")
    expect(now == before[-1:], "%s", now)
    log = turned.log()
    told = log.of("retention")
    expect(len(told) == 1 and told[0]["files"] == 2 and told[0]["first"] == 0 and
           told[0]["last"] == now[0] - 1, "%s", told)
    turned.verify()
    turned.verify("--key", turned.keys()[0])
    expect(turned.found("--key", Turned.other_key(box))[0][0] == "other key", "a key")
    # A line is still proven, and nothing before the first is.
    for n in (log.first, log.first + 2):
        proof = box.run("audit", "prove", turned.path, str(n))
        expect(proof.code == 0, "%s", proof)
    expect(box.run("audit", "prove", turned.path, "0").code == 1, "a line that is gone")
    expect(box.run("audit", "consistency", turned.path, "--from", "2").code == 1, "gone")


def other_key(box):
    _, path = box.database(TABLE, name="other.db")
    other = Audited(box, path)
    other.path, other.state = box.path("other.audit"), box.path("other")
    other.once()
    return other.key()


Turned.other_key = staticmethod(other_key)


def test_nothing_goes_whose_head_has_not_left(box):
    turned = Turned(box)
    before = [first for first, _ in turned.files()]
    kept = box.path("elsewhere")
    setting = ("-D", "audit.retention.bytes=1", "-D",
               "audit.retention.checkpoint=" + kept)
    expect(gone(turned, *setting) == before, "no head was there")
    with open(kept, "w") as file:
        file.write("something else\n")
    expect(gone(turned, *setting) == before, "no head was there")
    head = next(line for line in reversed(turned.log().lines)
                if line["op"] == "checkpoint" and line["n"] < before[2])
    with open(kept, "w") as file:
        file.write(head["note"])
    expect(gone(turned, *setting) == before[1:], "one of them was signed")
    shutil.copy(turned.path + ".checkpoint", kept)
    expect(gone(turned, *setting) == before[2:], "all were signed")
    turned.verify()


def test_proofs_where_the_oldest_are_gone(box):
    """Of each line that is left."""
    turned = Turned(box, files=4)
    turned.args = ("-D", "audit.retention.bytes=1")
    turned.once()
    log = turned.log()
    expect(log.first > 0, "nothing is gone")
    for n in range(log.first, log.signed):
        proof = box.run("audit", "prove", turned.path, str(n))
        expect(proof.code == 0, "%s", proof)
        _, hashes, note = take_apart(proof.out.decode(), "c2sp.org/tlog-proof@v1",
                                     "index ")
        _, size, root = head_of(note)
        expect(root == log.heads[size] and root_of_line(
            n, size, leaf_hash(log.raw[n - log.first]), hashes) == root,
               "line %d is not proven", n)


def test_path_is_never_somebody_elses(box):
    """A file of that name that is none of the log's is neither written nor replaced."""
    turned = Turned(box)
    content = read_file(newest(turned.path))
    os.remove(turned.path)
    with open(turned.path, "wb") as file:
        file.write(b"theirs\n")
    for more in ((), ("--accept-gap",)):
        result = turned.once(*more, code=2)
        expect("is a file of its own" in result.error_lines[-1], "%s", result)
    expect(read_file(turned.path) == b"theirs\n", "it was written to")
    expect(read_file(newest(turned.path)) == content, "the log was written to")
    os.remove(turned.path)
    turned.once()
    expect(os.path.samefile(turned.path, newest(turned.path)), "PATH is not back")
    turned.matches()
    # The name of the next file is somebody's.
    tail = turned.start()
    after = turned.log().tree.count
    for n in range(after, after + 60):
        with open("%s.%012d" % (turned.path, n), "wb") as file:
            file.write(b"theirs\n")
    tail.process.send_signal(signal.SIGHUP)
    expect(tail.wait_exit(20) in (1, 2), "exit")
    expect("is none of the log's" in tail.error_text(), "%s", tail.error_text())
    for n in range(after, after + 60):
        name = "%s.%012d" % (turned.path, n)
        expect(read_file(name) == b"theirs\n", "%s was written to", name)
        os.remove(name)
    turned.once()
    turned.matches()


def test_a_file_of_that_name_that_is_none_of_the_log_stays(box):
    """It is neither compressed nor does it go; it has to be moved away."""
    turned = Turned(box, *PLAIN)
    name = turned.path + ".000000000001"
    with open(name, "wb") as file:
        file.write(b"theirs\n")
    turned.args = ("-D", "audit.retention.bytes=1")
    turned.once()
    expect(read_file(name) == b"theirs\n" and os.path.exists(name), "it was touched")
    expect("altered" in [kind for kind, *_ in turned.found()], "%s", turned.found())
    os.remove(name)
    turned.once()
    turned.verify()


def test_keys_alone_are_no_state_directory(box):
    """Whoever brings back nothing but the keys begins a new one, with a word in the log."""
    turned = Turned(box, files=2)
    for name in os.listdir(turned.state):
        if not name.startswith("audit-key"):
            os.remove(os.path.join(turned.state, name))
    for name in (".next", ".tmp"):
        shutil.copy(os.path.join(turned.state, "audit-key"),
                    os.path.join(turned.state, "audit-key" + name))
    turned.once(code=2)
    turned.once("--accept-gap")
    expect(turned.count(b'"op":"gap"') == 1, "gaps")
    turned.verify()


def test_a_copy_that_is_brought_back_is_gone_on_with(box):
    """PATH alone, as somebody has it who copied that name."""
    turned = Turned(box)
    kept = box.path("kept")
    shutil.copy2(turned.path, kept)
    for _, name in turned.files():
        os.remove(name)
    os.remove(turned.path)
    shutil.copy2(kept, turned.path)
    turned.once()
    expect(os.path.samefile(turned.path, newest(turned.path)), "it has no number")
    log = turned.log()
    expect(log.first > 0 and len(log.files) == 1, "%s", log.files)


def test_what_goes_may_go_again_and_again(box):
    """Also when the line that told of the first is gone itself."""
    turned = Turned(box)
    turned.args = ("-D", "audit.retention.bytes=1")
    for i in range(4):
        tail = turned.start()
        box.wait_until(lambda: len(turned.files()) == 1, timeout=30)
        before = end(turned.path)
        turned.writer.sql("c", "UPDATE t SET a = 'm%d' WHERE id = 1" % i)
        box.wait_until(lambda: end(turned.path) != before, timeout=30)
        count = turned.files()[-1][0]
        tail.process.send_signal(signal.SIGHUP)
        box.wait_until(lambda: turned.files()[-1][0] > count, timeout=30)
        box.wait_until(lambda: len(turned.files()) == 1, timeout=30)
        box.stop(tail)
        turned.log()
        turned.verify("--key", turned.keys()[0])
    first = json.loads(read_file(newest(turned.path)).split(b"\n")[0])
    expect(0 < first["retired"] <= first["first"], "%s", first)


def test_an_unsigned_line_excuses_no_file(box):
    turned = Turned(box, *PLAIN)
    (_, one), (second, _), _ = turned.files()
    os.remove(one)
    with open(newest(turned.path), "ab") as file:
        file.write(b'{"n":%d,"time":"2026-11-07T13:37:55.200Z","op":"retention","first":0,'
                   b'"last":%d}\n' % (turned.log_end(), second - 1))
    expect(turned.found() == [("missing", 0, second - 1)], "%s", turned.found())


def test_checkpoints_that_nothing_is_left_of(box):
    """They prove nothing, and that is no success."""
    turned = Turned(box)
    head = turned.log().of("checkpoint")[0]["note"]
    with open(box.path("old"), "w", encoding="utf-8") as file:
        file.write(head)
    turned.verify("--checkpoint", box.path("old"))
    gone(turned, "-D", "audit.retention.bytes=1")
    result = turned.verify("--checkpoint", box.path("old"), code=1)
    expect("none of the checkpoints" in result.error_lines[-1], "%s", result)
    turned.verify("--checkpoint", box.path("old"), "--checkpoint",
                  turned.path + ".checkpoint")


def test_a_number_that_was_removed_comes_back(box):
    """While it is written, and at the next start: PATH is the file as well."""
    turned = Turned(box, *PLAIN)
    tail = turned.start()
    name = newest(turned.path)
    os.remove(name)
    turned.writer.sql("c", "UPDATE t SET a = 'later' WHERE id = 3")
    box.wait_until(lambda: os.path.exists(name), timeout=30)
    turned.turn(tail)
    box.stop(tail)
    turned.once()
    turned.matches()
    os.remove(newest(turned.path))
    turned.once()
    turned.matches()
    turned.verify("--key", turned.keys()[0])


def test_a_newest_file_that_only_path_names(box):
    """All others are closed and compressed."""
    turned = Turned(box)
    os.remove(newest(turned.path))
    turned.once()
    turned.matches()
    expect(os.path.samefile(turned.path, newest(turned.path)), "it has no number")


def test_keys_that_were_not_noted_are_noted_by_the_next_start(box):
    turned = Turned(box)
    with open(turned.path + ".keys", encoding="utf-8") as file:
        lines = file.readlines()
    with open(turned.path + ".keys", "w", encoding="utf-8") as file:
        file.writelines(lines[:-1])
    turned.once()
    with open(turned.path + ".keys", encoding="utf-8") as file:
        expect(file.readlines() == lines, "it is not there, or twice")
    gone(turned, "-D", "audit.retention.bytes=1")
    turned.verify("--key", json.loads(lines[0])["key"])


def test_one_file_alone_is_verified_with_the_first_key(box):
    turned = Turned(box)
    for _, name in turned.files():
        result = box.run("audit", "verify", name, "--key", turned.keys()[0])
        expect(result.code == 0, "%s", result)
    os.remove(turned.files()[0][1])
    result = box.run("audit", "verify", box.folder, "--key", turned.keys()[0], "--json")
    kinds = [one["finding"] for one in json.loads(result.out)["findings"]]
    expect(kinds == ["missing"], "%s", kinds)


def test_a_key_makes_room_and_is_kept(box):
    """Of one state directory another log is begun, and then the first gone on with."""
    turned = Turned(box, files=2)
    first, path = os.path.join(turned.state, "audit-key"), turned.path
    with open(first) as file:
        key = file.read()
    result = box.run(turned.database, "--to", "file:" + box.path("out"), "--state",
                     turned.state, "--once", timeout=40)
    expect(result.code == 0, "%s", result)
    turned.path = box.path("second.audit")
    turned.once()
    with open(first + ".old-1") as file:
        expect(file.read() == key, "another key")
    expect(os.stat(first + ".old-1").st_mode & 0o777 == 0o600, "its mode")
    result = box.run(turned.database, "--to", "file:" + box.path("out"), "--state",
                     turned.state, "--once", timeout=40)
    expect(result.code == 0, "%s", result)
    turned.path = path
    result = turned.once(code=2)
    expect("audit-key" in result.error_lines[-1], "%s", result)
    os.replace(first + ".old-1", first)
    turned.once()
    turned.log(signatures="last")
    turned.verify()


def test_a_key_that_cannot_be_read_is_not_lost(box):
    turned = Turned(box, files=1)
    key = os.path.join(turned.state, "audit-key")
    os.chmod(key, 0o640)
    for more in ((), ("--accept-gap",)):
        turned.once(*more, code=2)
    os.chmod(key, 0o600)
    turned.once()
    expect(not glob.glob(key + ".old*"), "it was replaced")
    turned.matches()


def test_a_file_that_may_not_go_keeps_those_behind_it(box):
    turned = Turned(box, *PLAIN)
    first = turned.files()[0][1]
    if subprocess.run(["chattr", "+a", first], stderr=subprocess.DEVNULL).returncode:
        raise NotRun("chattr +a is not permitted here")
    try:
        before = [number for number, _ in turned.files()]
        expect(gone(turned, *PLAIN, "-D", "audit.retention.bytes=1") == before, "a hole")
        turned.verify()
    finally:
        subprocess.run(["chattr", "-a", first], check=True)
    expect(gone(turned, *PLAIN, "-D", "audit.retention.bytes=1") == before[2:], "it stays")
    turned.verify()


def test_a_checkpoint_of_another_lets_nothing_go(box):
    turned = Turned(box)
    before = [first for first, _ in turned.files()]
    _, path = box.database(TABLE, many(1, 99), name="other.db")
    other = Audited(box, path)
    other.path, other.state = box.path("other.audit"), box.path("other")
    other.once()
    with open(turned.path + ".checkpoint", encoding="utf-8") as file:
        forged = re.sub(r"\n\d+\n", "\n999999\n", file.read(), count=1)
    for note in (open(other.path + ".checkpoint", encoding="utf-8").read(), forged):
        with open(box.path("elsewhere"), "w", encoding="utf-8") as file:
            file.write(note)
        expect(gone(turned, "-D", "audit.retention.bytes=1", "-D",
                    "audit.retention.checkpoint=" + box.path("elsewhere")) == before,
               "it let files go: %s", note)


def test_a_name_that_is_needed_for_a_moment_is_somebodys(box):
    turned = Turned(box, files=1)
    with open(turned.path + ".new", "w") as file:
        file.write("theirs")
    os.remove(turned.path)
    result = turned.once(code=1)
    expect("cannot be made a name" in result.error_lines[-1], "%s", result)
    with open(turned.path + ".new") as file:
        expect(file.read() == "theirs", "it was written to")
    os.remove(turned.path + ".new")
    turned.once()
    turned.matches()

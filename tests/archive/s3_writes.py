"""What is written into an archive in a bucket: whole, once, never over another. On a
server of our own that fails, and on a real one."""

import os

from harness import ltx
from harness.box import expect
from harness.s3 import BUCKET, SECRET, S3Server, environment
from harness.s3_fake import FakeS3, answering, cut, failing, passed

STAMP = "1970-01-01T00:16:40.000000000Z"
PREFIX = "the app"
ARCHIVE = "s3://%s/%s" % (BUCKET, PREFIX)
PART = 16 << 20


def key_of(level, low, high):
    return "%s/%04x/%016x-%016x.ltx" % (PREFIX, level, low, high)


def call(box, endpoint, *args, code=0, part=""):
    """The helper storage_calls, which rowtail's own writers are linked with, too."""
    program = os.path.join(box.options.helpers, "storage_calls")
    box.need("" if os.path.exists(program) else "storage_calls is not built: make helpers")
    done = box.run(command=[program, endpoint, ARCHIVE, *map(str, args)],
                   env=environment(), timeout=120)
    text = done.err.decode()
    expect(done.code == code and part in text, "expected exit %d and %r: %s", code, part,
           done)
    expect(SECRET not in text, "a secret is told: %s", text)
    return done.out


def local(box, size, seed=b"a"):
    path = box.path("local-%d-%s" % (size, seed.decode()))
    with open(path, "wb") as file:
        unit = bytes(range(256)) + seed
        file.write((unit * (size // len(unit) + 1))[:size])
    with open(path, "rb") as file:
        return path, file.read()


def put(box, endpoint, path, level=0, low=5, high=7, seconds=1000, **more):
    return call(box, endpoint, "put", level, low, high, path, seconds, **more)


OTHER = "is there already, with another content: somebody else writes"


def test_a_file_is_written_once(box):
    fake = FakeS3(box)
    for level, size in enumerate((0, 1, 3000, 2000000)):
        path, body = local(box, size)
        put(box, fake.endpoint, path, level)
        thing = fake.objects[key_of(level, 5, 7)]
        expect(thing.body == body and thing.time == STAMP,
               "%d bytes at %s", len(thing.body), thing.time)
        put(box, fake.endpoint, path, level)
        put(box, fake.endpoint, local(box, size + 1)[0], level, code=1, part=OTHER)
        if size:
            put(box, fake.endpoint, local(box, size, b"b")[0] if size > 300 else
                box.path("x") if open(box.path("x"), "wb").write(b"y" * size) else "",
                level, code=1, part=OTHER)
        expect(fake.objects[key_of(level, 5, 7)].body == body, "it was changed")
    call(box, fake.endpoint, "remove", 2, 5, 7)
    call(box, fake.endpoint, "remove", 2, 5, 7)
    expect(key_of(2, 5, 7) not in fake.objects and len(fake.objects) == 3, "removed")


def lost(handler):
    """It is done, and nobody hears of it."""
    class Deaf:
        def write(self, data):
            pass

        def flush(self):
            pass
    import socket
    from urllib.parse import urlsplit
    handler.wfile = Deaf()
    handler.serve(urlsplit(handler.path))
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def test_a_lost_answer_is_no_other_writer(box):
    fake = FakeS3(box)
    path, body = local(box, 3000)
    fake.faults = [lost]
    put(box, fake.endpoint, path)
    expect(fake.methods() == ["PUT", "PUT", "HEAD", "GET"], "%s", fake.methods())
    expect(fake.objects[key_of(0, 5, 7)].body == body, "other bytes")
    # Somebody else was faster.
    fake.objects.clear()

    def other(handler):
        fake.put(key_of(0, 5, 7), b"other" * 600)
        handler.cut()
        return True
    fake.faults = [other]
    put(box, fake.endpoint, path, code=1, part=OTHER)


def test_faults_that_pass(box):
    fake = FakeS3(box)
    for size in (3000, 2 * PART + 777):
        path, body = local(box, size)
        for fault in (failing(503, "SlowDown"),
                      failing(409, "ConditionalRequestConflict"),
                      cut):
            fake.objects.clear()
            fake.faults = [fault] * 2
            put(box, fake.endpoint, path)
            expect(fake.objects[key_of(0, 5, 7)].body == body, "other bytes")
            expect(not fake.faults and not fake.uploads, "left: %s", fake.uploads)


def test_a_large_file_goes_in_parts(box):
    fake = FakeS3(box)
    size = 2 * PART + 777
    path, body = local(box, size)
    put(box, fake.endpoint, path, 9, 1, 7)
    thing = fake.objects[key_of(9, 1, 7)]
    expect(thing.body == body and thing.time == STAMP, "other bytes")
    expect(fake.methods() == ["HEAD", "GET", "POST", "PUT", "PUT", "PUT", "POST"], "%s",
           fake.methods())
    put(box, fake.endpoint, path, 9, 1, 7)
    put(box, fake.endpoint, local(box, size, b"b")[0], 9, 1, 7, code=1, part=OTHER)
    expect(thing is fake.objects[key_of(9, 1, 7)] and not fake.uploads, "left behind")


def test_a_large_file_that_fails_leaves_no_parts(box):
    fake = FakeS3(box)
    path, body = local(box, 2 * PART + 777)
    denied = [failing(403, "AccessDenied")]
    # In turn: HEAD, the list, the begin, a part, the end.
    for before, part in ((2, "s3:PutObject"), (3, "s3:PutObject"), (5, "s3:PutObject"),
                         (6, "s3:PutObject")):
        fake.faults = [passed] * before + denied
        put(box, fake.endpoint, path, code=1, part=part)
        expect(not fake.uploads and not fake.objects, "left after %d", before)
    # An error whose code is 200; the list of uploads is no right that all have.
    error = (b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>m"
             b"</Message></Error>")
    fake.faults = [passed] + denied + [passed] * 4 + [
        answering(200, error)]
    put(box, fake.endpoint, path, code=1, part="InternalError, m")
    expect(not fake.uploads and not fake.objects, "left behind")
    # The end is done, and nobody hears of it.
    fake.faults = [passed] * 6 + [lost]
    put(box, fake.endpoint, path)
    expect(fake.objects[key_of(0, 5, 7)].body == body, "other bytes")


def test_what_a_killed_writer_left_is_given_up(box):
    fake = FakeS3(box)
    fake.uploads = {"old&1": (key_of(9, 1, 3), {}, ""), "old&2": (key_of(1, 2, 3), {}, ""),
                    "old&3": (key_of(1, 5, 9), {}, ""),
                    "other": (PREFIX + "/note", {}, ""), "far": ("else/0000/x", {}, "")}
    path, _ = local(box, PART + 1)
    put(box, fake.endpoint, path, level=1)
    # What goes to another level may be under way still.
    expect(sorted(fake.uploads) == ["far", "old&1", "other"], "left: %s", fake.uploads)
    put(box, fake.endpoint, path, level=9)
    expect(sorted(fake.uploads) == ["far", "other"], "left: %s", fake.uploads)


def test_notes(box):
    fake = FakeS3(box)
    call(box, fake.endpoint, "get-note", "rowtail.json", code=3)
    call(box, fake.endpoint, "note", "rowtail.json", "mine")
    expect(call(box, fake.endpoint, "get-note", "rowtail.json") == b"mine", "a note")
    call(box, fake.endpoint, "note", "rowtail.json", "mine")
    for other in ("else", "min", "mine!", ""):
        call(box, fake.endpoint, "note", "rowtail.json", other, code=1, part=OTHER)
    expect(fake.objects[PREFIX + "/rowtail.json"].body == b"mine", "it was changed")
    fake.put(PREFIX + "/long", b"x" * 101)
    call(box, fake.endpoint, "get-note", "long", code=1, part="more than was asked")


def test_a_note_whose_answer_breaks_off_is_no_other_writer(box):
    fake = FakeS3(box)
    call(box, fake.endpoint, "note", "rowtail.json", "mine")
    fake.faults = [passed] + [
        answering(200, b"mi", length=4, cuts=True)] * 20
    done = call(box, fake.endpoint, "note", "rowtail.json", "mine", code=1,
                part="no answer from http://127.0.0.1:")
    expect(not done, "it said something: %s", done)
    fake.faults = []
    call(box, fake.endpoint, "note", "rowtail.json", "mine")


def test_a_server_without_conditions_is_refused(box):
    fake = FakeS3(box)
    path, _ = local(box, 10)
    fake.faults = [failing(501, "NotImplemented")]
    put(box, fake.endpoint, path, code=1, part="does not know If-None-Match")
    expect(not fake.objects, "it was written")


def test_the_same_on_a_real_server(box):
    server = S3Server(box)
    for level, size in enumerate((0, 3000, 2 * PART + 777)):
        path, body = local(box, size)
        put(box, server.endpoint, path, level)
        with open(server.path(key_of(level, 5, 7)), "rb") as file:
            expect(file.read() == body, "other bytes: %d", size)
        put(box, server.endpoint, path, level)
        put(box, server.endpoint, local(box, size + 300)[0], level, code=1, part=OTHER)
        if size:
            put(box, server.endpoint, local(box, size, b"b")[0], level, code=1,
                part=OTHER)
        call(box, server.endpoint, "remove", level, 5, 7)
        call(box, server.endpoint, "remove", level, 5, 7)
        expect(not os.path.exists(server.path(key_of(level, 5, 7))), "not removed")
    call(box, server.endpoint, "get-note", "rowtail.json", code=3)
    call(box, server.endpoint, "note", "rowtail.json", "mine")
    call(box, server.endpoint, "note", "rowtail.json", "else", code=1, part=OTHER)
    expect(call(box, server.endpoint, "get-note", "rowtail.json") == b"mine", "a note")


def test_times_that_are_written_are_read(box):
    server = S3Server(box)
    page = 512
    for txid in (1, 2, 3):
        path = box.path("file")
        with open(path, "wb") as file:
            file.write(ltx.encode(txid, txid, page, 1, {1: b"%16d" % txid * (page // 16)}))
        put(box, server.endpoint, path, 0, txid, txid, txid * 1000)
    done = server.run("archive", "list", ARCHIVE)
    expect(done.code == 0 and b"latest: txid:3 1970-01-01T00:50:00.000Z" in done.out,
           "%s", done)
    out = box.path("out.db")
    done = server.run("restore", ARCHIVE, out, "--at", "1970-01-01T00:40:00Z")
    with open(out, "rb") as file:
        expect(done.code == 0 and file.read() == b"%16d" % 2 * (page // 16), "%s", done)


for test, function in list(globals().items()):
    if test.startswith("test_"):
        function.timeout = 300

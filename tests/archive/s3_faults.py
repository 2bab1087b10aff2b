"""Archives in a bucket of a server of our own, with the faults that servers and networks
have: what passes is tried again, what does not is one line that says what to do."""

import os
import signal
import ssl
import subprocess
import threading
import time

from harness import ltx
from harness.box import expect
from harness.s3 import ACCESS, BUCKET, REGION, SECRET, environment
from harness.s3_fake import (AwsHandler, FakeS3, HostHandler, answering, cut, failing,
                             passed)

PAGE = 512
ONE = ["archive.s3.connections=1"]  # so that faults are met in the order of reading
PREFIX = "backups/the app+1"
ARCHIVE = "s3://%s/%s" % (BUCKET, PREFIX)


def key_of(level, low, high):
    return "%s/%04x/%016x-%016x.ltx" % (PREFIX, level, low, high)


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".5Z"


def filled(box, count=6, stamps=True, **more):
    """A server whose bucket has states 1 to `count`: a snapshot, then files of a page.
    State n is of the second 1000 * n; all was uploaded within a second, much later."""
    fake = FakeS3(box, **more)
    pages = {n: b"%16d" % n * (PAGE // 16) for n in range(1, 9)}
    for txid in range(1, count + 1):
        body = ltx.encode(txid, txid, PAGE, 8, pages if txid == 1 else
                          {2: b"%16d" % (100 + txid) * (PAGE // 16)},
                          time_ms=txid * 1000000 + 500)
        fake.put(key_of(9 if txid == 1 else 0, txid, txid), body,
                 rfc3339(txid * 1000) if stamps else "", 1700000000)
    return fake


def state(txid):
    pages = [b"%16d" % n * (PAGE // 16) for n in range(1, 9)]
    if txid > 1:
        pages[1] = b"%16d" % (100 + txid) * (PAGE // 16)
    return b"".join(pages)


def take_restored(box, done, right=6):
    out = box.path("out.db")
    expect(done.code == 0, "%s", done)
    with open(out, "rb") as file:
        expect(file.read() == state(right), "another state than %d: %s", right, done)
    os.remove(out)
    return done


def restored(box, fake, *args, right=6, **more):
    done = fake.run("restore", ARCHIVE, box.path("out.db"), *args, **more)
    return take_restored(box, done, right)


def refused(box, fake, code, *parts, command=None, **more):
    done = fake.run(*(command or ("restore", ARCHIVE, box.path("out.db"))), **more)
    lines = done.error_lines
    expect(done.code == code and len(lines) == 1, "expected exit %d: %s", code, done)
    for part in parts:
        expect(part in lines[0], "no %r: %s", part, lines[0])
    expect(SECRET not in lines[0] and ACCESS not in lines[0], "keys are told: %s", done)
    left = [name for name in os.listdir(box.folder) if name.startswith("out.db")]
    expect(not left, "left behind: %s", left)


def test_states_by_txid_and_by_time(box):
    """Times are those of the metadata, or of the headers, never of the upload."""
    for stamps in (True, False):
        fake = filled(box, 40, stamps)
        restored(box, fake, right=40)
        restored(box, fake, "--at", "first", right=1)
        restored(box, fake, "--at", "txid:7", right=7)
        before = len(fake.requests)
        restored(box, fake, "--at", "1970-01-01T03:00:00Z", right=10)
        asked = len(fake.requests) - before
        expect(asked < 26, "%d requests for a state by its time", asked)
        done = fake.run("archive", "list", ARCHIVE)
        lines = done.out.decode().splitlines()
        expect(done.code == 0 and lines[-1] == "latest: txid:28 1970-01-01T11:06:40.500Z"
               and lines[-2] == "first:  txid:1 1970-01-01T00:16:40.500Z", "%s", done)
        expect("1970-01-01T00:33:20.500Z" in lines[1], "%s", done)
        refused(box, fake, 2, "the nearest that it has is txid:1 (1970-01-01T00:16:40",
                command=("restore", ARCHIVE, box.path("out.db"), "--at",
                         "1970-01-01T00:10:00Z"))
        done = fake.run("archive", "verify", ARCHIVE)
        expect(done.code == 0 and b"verified 40 files" in done.out
               and b"1970-01-01T11:06:40.500Z" in done.out, "%s", done)


def test_a_list_of_many_pages_is_read_once(box):
    fake = filled(box, 300)
    fake.page_size = 7
    for name in ("0000/note", "0000/zz.ltx", "0010/%016x-%016x.ltx" % (1, 2), "note",
                 "0009/%016X-%016X.ltx" % (0xa, 0xa), "000", "0000/x/y",
                 "0001/%016x-%016x.ltx.tmp" % (2, 3)):
        fake.put("%s/%s" % (PREFIX, name), b"not ours")
    fake.put("backups/other/%s" % key_of(0, 2, 2)[len(PREFIX):], b"not ours")
    restored(box, fake, "--at", "txid:12c", right=300)
    lists = [path for method, path, _ in fake.requests if "list-type=2" in path]
    expect(len(lists) == len(set(lists)) == 44, "%d lists", len(lists))


def test_large_files_are_fetched_in_few_pieces(box):
    fake = FakeS3(box)
    count = 40000
    pages = {n: b"%16d" % n * (PAGE // 16) for n in range(1, count + 1)}
    fake.put(key_of(9, 1, 1), ltx.encode(1, 1, PAGE, count, pages))
    out = box.path("out.db")
    done = fake.run("restore", ARCHIVE, out, timeout=100)
    expect(done.code == 0, "%s", done)
    with open(out, "rb") as file:
        expect(file.read() == b"".join(pages[n] for n in sorted(pages)), "other bytes")
    # A list, three pieces of 8 MiB, the time.
    expect(len(fake.requests) == 5, "%s", [r[:2] for r in fake.requests])


def busy(code, name, count=1):
    return [failing(code, name)] * count


def test_what_passes_is_tried_again(box):
    fake = filled(box)
    cut_off = [answering(206, b"x" * 10, length=5000, cuts=True)]
    for faults in (busy(503, "SlowDown", 3), busy(500, "InternalError"),
                   busy(429, "TooManyRequests"), busy(400, "RequestTimeout"),
                   [cut] * 3, cut_off * 2, [answering(502, b"<html>bad gateway</html>")]):
        for after in (0, 3):
            for settings in (ONE, ()):
                fake.faults = [passed] * after + list(faults)
                restored(box, fake, settings=settings)
                expect(not fake.faults, "not all faults were met")


def test_what_does_not_pass_is_said(box):
    fake = filled(box)
    for faults, code, parts in (
            (busy(503, "SlowDown", 9), 1, ("cannot be listed", "503 SlowDown", "later")),
            ([cut] * 9, 1, ("no answer from http://127.0.0.1:",)),
            (busy(403, "AccessDenied"), 2, ("access denied", "s3:ListBucket")),
            ([passed] + busy(403, "AccessDenied"), 2, ("access denied", "s3:GetObject",
                                                     "/0000/")),
            (busy(400, "ExpiredToken"), 1, ("session token has expired",)),
            (busy(403, "InvalidToken"), 2, ("AWS_SESSION_TOKEN",)),
            ([failing(301, "PermanentRedirect", headers=[
                ("x-amz-bucket-region", "ap-south-9")])], 2,
             ("the region is ap-south-9, not eu-test-1",
              "archive.s3.region=ap-south-9")),
            ([answering(307, headers=[("Location", "http://127.0.0.1:1/x")])], 2,
             ("redirects are not followed",)),
            ([failing(403, "RequestTimeTooSkewed", headers=[
                ("Date", "Sun, 06 Nov 2044 08:49:37 GMT")])], 1,
             ("the clock of this machine is ", " s behind that of the server",
              "timedatectl")),
            ([answering(200, b"<html><body>Welcome</body></html>")], 1,
             ("the answer is no list", "archive.s3.endpoint")),
            (busy(418, "Teapot"), 1, ("answers 418 Teapot, a message",))):
        fake.faults = list(faults)
        refused(box, fake, code, *parts)
        fake.faults = []


def test_a_server_that_is_away_is_no_damage(box):
    fake = filled(box)
    fake.faults = [passed] * 2 + [cut] * 1000
    refused(box, fake, 1, "no answer from http://127.0.0.1:",
            command=("archive", "verify", ARCHIVE))


def test_keys_and_places_that_are_wrong(box):
    fake = filled(box)
    refused(box, fake, 2, "the secret key is not that of the access key",
            env=environment(AWS_SECRET_ACCESS_KEY="x"))
    refused(box, fake, 2, "does not know the access key",
            env=environment(AWS_ACCESS_KEY_ID="x"))
    refused(box, fake, 2, "the region is eu-test-1, not us-east-1",
            env=environment(AWS_REGION="us-east-1"))
    bare = {k: v for k, v in environment().items() if not k.startswith("AWS_")}
    refused(box, fake, 2, "there are no credentials: set AWS_ACCESS_KEY_ID", env=bare)
    refused(box, fake, 2, "credentials have blanks",
            env=environment(AWS_SECRET_ACCESS_KEY="x\n"))
    refused(box, fake, 2, "has no bucket nothere",
            command=("archive", "list", "s3://nothere/x"))
    for place in ("s3://b", "s3://b/", "s3://b//x", "s3://b/x/", "s3://b/x//y",
                  "s3://b/./x", "s3://b/..", "s3://b/" + "x" * 901):
        refused(box, fake, 2, "must be s3://BUCKET/PREFIX",
                command=("archive", "list", place))
    refused(box, fake, 2, "is no name of a bucket", command=("archive", "list", "s3:///x"))
    refused(box, fake, 2, "-D archive.s3.endpoint=", command=(
        "archive", "list", "s3://b/x?endpoint=http://h"))
    for endpoint in ("127.0.0.1:9", "ftp://h", "http://", "http://u:p@h", "http://h/x"):
        refused(box, fake, 2, "archive.s3.endpoint must be", endpoint=endpoint)
    refused(box, fake, 1, "the host of http://no.such.invalid is unknown",
            endpoint="http://no.such.invalid")
    refused(box, fake, 1, "no answer from http://127.0.0.1:1 (",
            endpoint="http://127.0.0.1:1")
    refused(box, fake, 1, "TLS with https://", endpoint=fake.endpoint.replace(
        "http:", "https:"))
    refused(box, fake, 2, "archive.s3.ca", "has no certificates",
            endpoint="https://127.0.0.1:%d" % fake.port,
            settings=["archive.s3.ca=" + box.path("nothing.pem")])
    refused(box, fake, 2, "has no files yet",
            command=("restore", ARCHIVE + "x", box.path("out.db")))


def test_keys_by_reference(box):
    fake = filled(box)
    with open(box.path("keys"), "w", encoding="utf-8") as file:
        file.write("id=%s\nsecret=%s\n" % (ACCESS, SECRET))
    wrong = environment(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x",
                        AWS_SESSION_TOKEN="x")
    reference = "${file:%s:%%s}" % box.path("keys")
    settings = ["archive.s3.access.key.id=" + reference % "id",
                "archive.s3.secret.access.key=" + reference % "secret"]
    restored(box, fake, env=wrong, settings=settings)
    expect(all("X-Amz-Security-Token" not in headers and "x-amz-security-token" not in
               headers for _, _, headers in fake.requests), "a token of other keys")
    done = fake.run("archive", "list", ARCHIVE, settings=[
        "archive.s3.secret.access.key=" + SECRET])
    expect(done.code == 2 and "is seen by all who can run ps" in done.error_lines[0]
           and SECRET not in done.error_lines[0], "%s", done)


def test_a_session_token_is_sent_and_signed(box):
    fake = filled(box)
    restored(box, fake, env=environment(AWS_SESSION_TOKEN="token/of+a==session"))
    for _, _, headers in fake.requests:
        lower = {k.lower(): v for k, v in headers.items()}
        expect(lower["x-amz-security-token"] == "token/of+a==session", "%s", headers)


class KeyFile:
    """Credentials in a file, and those that the server takes."""

    def __init__(self, box, fake):
        self.path = box.path("keys")
        self.fake = fake
        self.settings = [
            "archive.s3.%s=${file:%s:%s}" % (name, self.path, key) for name, key in (
                ("access.key.id", "id"), ("secret.access.key", "secret"),
                ("session.token", "token"))]

    def write(self, n):
        """As somebody does who exchanges them: the file is there, whole, at once."""
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write("id=access%d\nsecret=secret%d\ntoken=token%d\n" % (n, n, n))
        os.rename(self.path + ".new", self.path)

    def take(self, n, token=None):
        self.fake.keys = {"access%d" % n: ("secret%d" % n, token or "token%d" % n)}

    def options(self):
        return [word for setting in self.settings for word in ("-D", setting)]

    def check_unsaid(self, errors):
        text = "\n".join(errors)
        expect("secret" not in text and "token1" not in text and "access1" not in text,
               "it tells them: %s", text)


def test_keys_in_a_file_may_be_exchanged_while_an_archive_is_followed(box):
    fake = FakeS3(box)
    writer, path = box.database("PRAGMA page_size=%d" % PAGE,
                                "CREATE TABLE t(id INTEGER PRIMARY KEY)")
    count = 0

    def grow():
        """One more row, and state, and file."""
        nonlocal count
        if count:
            writer.sql("c", "INSERT INTO t DEFAULT VALUES")
        count += 1
        writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
        with open(path, "rb") as file:
            body = file.read()
        pages = {n: body[(n - 1) * PAGE:n * PAGE]
                 for n in range(1, len(body) // PAGE + 1)}
        level = 0 if count > 1 else 9
        fake.put(key_of(level, count, count), ltx.encode(
            count, count, PAGE, len(pages), pages, time_ms=1000 * count),
            rfc3339(count))

    keys = KeyFile(box, fake)
    keys.write(0)
    keys.take(0)
    grow()
    tail = box.tail("events", ARCHIVE, "--follow", "-D",
                    "archive.s3.endpoint=" + fake.endpoint, *keys.options(),
                    wait=False, env=environment(AWS_ACCESS_KEY_ID="x"))
    for n in range(1, 4):
        grow()
        tail.wait_lines(n, 30)
        # The file first: nothing is said.
        keys.write(n)
        keys.take(n)
    expect(not any("credentials" in e for e in tail.errors), "%s", tail.errors)
    for n, fault in ((4, "ExpiredToken"), (5, "InvalidAccessKeyId")):
        # The server first: one line, and it goes on.
        text = "does not take the credentials any more (%s)" % fault
        keys.take(n if fault == "InvalidAccessKeyId" else n - 1, "another")
        box.wait_until(lambda: any(text in e for e in tail.errors), 30, "it says nothing")
        keys.take(n)
        keys.write(n)
        grow()
        tail.wait_lines(n, 60)
    box.stop(tail)
    keys.check_unsaid(tail.errors)


def test_keys_that_are_half_written_are_read_once_more(box):
    fake = filled(box)
    keys = KeyFile(box, fake)
    keys.settings.append("archive.s3.connections=1")    # what is met comes in its order
    keys.write(0)
    keys.take(0)

    def exchanged(text, then=passed):
        """The server takes others from here on, and the file has `text`, then all."""
        def exchange(handler):
            with open(keys.path, "w", encoding="utf-8") as file:
                file.write(text)
            keys.take(1)
            handler.fail(403, "InvalidAccessKeyId")
            fake.faults.insert(0, then)
            return True
        return exchange

    def complete(_):
        keys.write(1)

    whole = "id=access1\nsecret=secret1\ntoken=token1\n"
    for after in range(3):
        for text, then in ((whole, passed), (whole.replace("secret1", "secret0"), complete)):
            keys.write(0)
            keys.take(0)
            fake.faults = [passed] * after + [exchanged(text, then)]
            restored(box, fake, settings=keys.settings)
            expect(not fake.faults, "not all were met")
    # What cannot be used changes nothing: it is said what the server says.
    for text in ("", "id=\nsecret=\ntoken=\n", "id=a b\nsecret=x\ntoken=\n"):
        keys.write(0)
        keys.take(0)
        fake.faults = [passed, exchanged(text)]
        refused(box, fake, 1, "does not take the credentials any more "
                       "(InvalidAccessKeyId): put new ones where they come from",
                       settings=keys.settings)
        fake.faults = []
    # Of the environment, or of a file that has no others, there is one try.
    keys.write(0)
    keys.take(0)
    fake.faults = [failing(403, "AccessDenied")]
    before = len(fake.requests)
    refused(box, fake, 2, "access denied", settings=keys.settings)
    expect(len(fake.requests) == before + 1, "it was tried again")


def test_hostile_answers_end_in_one_line(box):
    """Whatever a server says: no crash, no endless loop, no memory without end."""
    fake = filled(box)
    head = b"<ListBucketResult><IsTruncated>%s</IsTruncated>"
    page = (b"<Contents><Key>%s/0000/%016x-%016x.ltx</Key><Size>%s</Size></Contents>")
    one = page % (PREFIX.encode(), 5, 5, b"1")
    tail = b"</ListBucketResult>"
    token = b"<NextContinuationToken>x</NextContinuationToken>"
    for body, parts in (
            (head % b"true" + token + one + tail, ("in the order of keys",)),
            (head % b"true" + one + tail, ("more follows",)),
            (head % b"true" + token + tail, ("more follows",)),
            (head % b"false" + one, ("cut off",)),
            (head % b"false" + one[:-8], ("cut off",)),
            (head % b"false" + page % (PREFIX.encode(), 5, 5, b"-1") + tail, ("size",)),
            (head % b"false" + page % (PREFIX.encode(), 5, 5, b"9" * 30) + tail,
             ("size",)),
            (head % b"false" + b"<Contents><Key>&nosuch;</Key></Contents>" + tail,
             ("key",)),
            (b"<!DOCTYPE x [<!ENTITY a \"aaaa\">]><a>" * 1000, ("no list",)),
            (b"<" * 100000, ("no list",)),
            (b"", ("no list",))):
        fake.faults = [answering(200, body)] * 5
        refused(box, fake, 1, "cannot be listed", *parts)
    fake.faults = [answering(200, b"x" * (9 << 20))]
    refused(box, fake, 1, "sends more than was asked for")
    huge = head % b"false" + page % (PREFIX.encode(), 1, 1, b"9" * 18) + tail
    fake.faults = [answering(200, huge)] * 9
    refused(box, fake, 1, "sends more than was asked for")
    fake.faults = [answering(200, huge), answering(206, b"x" * 100)] * 5
    refused(box, fake, 1, "is not the file that was listed any more; try again")


def fetched_again(box, fake, faults, part):
    """Of several requests at once the fault may meet one that was sent ahead: who asks for
    that piece fetches it again. Or who asks himself: that is an error."""
    for _ in range(30):
        fake.faults = list(faults)
        done = fake.run("restore", ARCHIVE, box.path("out.db"))
        expect(not fake.faults, "not all faults were met: %s", done)
        if done.code == 0:
            take_restored(box, done)
            return
        expect(done.code == 1 and part in done.error_lines[0], "no %r: %s", part, done)
    expect(False, "never was it fetched again: %s", done)


def test_ranges_that_are_others_than_asked(box):
    fake = filled(box)

    def other(first, last, total, body):
        return answering(206, body, [("Content-Range", "bytes %d-%d/%d" % (
            first, last, total))])
    size = len(fake.objects[key_of(0, 6, 6)].body)
    for fault, part in (
            (other(1, size, size, b"x" * size), "not the file that was listed"),
            (other(0, size - 2, size, b"x" * (size - 1)), "not the file that was listed"),
            (other(0, size - 1, size + 1, b"x" * size), "not the file that was listed"),
            (failing(416, "InvalidRange"), "not the file that was"),
            (failing(404, "NoSuchKey"), "was removed while"),
            (answering(206, b"x" * (size + 1)), "more than was asked"),
            (answering(206, b"x" * size, [("Content-Range", "bytes x")]),
             "is no LTX file")):
        fake.faults = [passed, passed, fault] * 5
        refused(box, fake, 1, part, settings=ONE)
        if part != "is no LTX file":
            fetched_again(box, fake, [passed] * 3 + [fault], part)
        fake.faults = []
    # What was compacted away meanwhile is planned again.
    fake.faults = [passed, passed, failing(404, "NoSuchKey")]
    restored(box, fake, settings=ONE)


def of_files(fake):
    """The requests for files, as they came."""
    with fake.lock:
        return [path for method, path, _ in fake.requests if path.endswith(".ltx")]


def is_of_time(handler):
    return handler.headers["Range"] == "bytes=0-99"


def test_files_that_come_next_are_fetched_ahead(box):
    """Several at once, each only once, by whatever reads many; with one connection one
    after the other."""
    fake = filled(box, 30)
    kinds = (("restore", ARCHIVE, box.path("out.db")), ("archive", "verify", ARCHIVE))
    for args in kinds:
        for connections in (1, 2, 4):
            met = threading.Event()
            under_way = most = 0
            lock = threading.Lock()

            def count(handler):
                nonlocal under_way, most
                if not handler.path.endswith(".ltx") or is_of_time(handler):
                    return False
                with lock:
                    under_way += 1
                    most = max(most, under_way)
                    if under_way == connections:
                        met.set()
                met.wait(20 * box.slow if connections > 1 else 0.01)
                with lock:
                    under_way -= 1
                return False
            fake.requests = []
            fake.faults = [count] * 40
            done = fake.run(*args, settings=["archive.s3.connections=%d" % connections])
            fake.faults = []
            expect(done.code == 0, "%s", done)
            expect(met.is_set(), "%s: never %d at once", args[0], connections)
            # Who reads fetches what is not there yet itself.
            expect(most <= connections + (connections > 1), "%s: %d at once", args[0], most)
            if args[0] == "restore":
                with open(args[2], "rb") as file:
                    expect(file.read() == state(30), "another state")
                os.remove(args[2])
                expect(len(of_files(fake)) == 31, "%d requests", len(of_files(fake)))


def test_what_is_fetched_ahead_is_bounded(box):
    """While the file that is wanted does not come no more than 32 MiB of others do."""
    fake = FakeS3(box)
    size, count = 3 << 20, 40
    pages = {1: b"x" * 65536}
    fake.put(key_of(9, 1, 1), ltx.encode(1, 1, 65536, 1, pages))
    for n in range(2, count + 1):
        # Whatever they have: they are fetched before that is seen.
        fake.put(key_of(0, n, n), b"y" * size)
    fake.put(key_of(0, count + 1, count + 1),
             ltx.encode(count + 1, count + 1, 65536, 1, pages))
    go = threading.Event()

    def hold(handler):
        if handler.path.endswith("%016x.ltx" % (count + 1)) and not is_of_time(handler):
            go.wait(60)
        return False
    fake.faults = [hold] * 100
    process = subprocess.Popen(
        box.command("restore", ARCHIVE, box.path("out.db"), "-D",
                    "archive.s3.endpoint=" + fake.endpoint),
        stderr=subprocess.PIPE, env=environment())
    most = (32 << 20) // size
    box.wait_until(lambda: len(of_files(fake)) >= most, 30, "they are not fetched")
    time.sleep(1)
    seen = len(of_files(fake))
    # That one, and the request for its time.
    expect(seen <= most + 2, "%d requests for files of %d bytes", seen, size)
    go.set()
    err = process.communicate(timeout=60 * box.slow)[1].decode()
    expect(process.returncode == 1 and "is no LTX file" in err, "exit %d: %s",
           process.returncode, err)


def test_an_error_does_not_wait_for_what_is_fetched_ahead(box):
    fake = filled(box, 30)
    fake.put(key_of(0, 30, 30), b"no file" * 100)

    def hang(handler):
        if handler.path.endswith("%016x.ltx" % 30):
            return False
        time.sleep(120)
        return True
    fake.faults = [passed] + [hang] * 40
    began = time.monotonic()
    refused(box, fake, 1, "is no LTX file")
    expect(time.monotonic() - began < 60, "it waited")


def test_a_stop_ends_what_is_fetched_ahead(box):
    fake = filled(box, 30)
    # Those of the list and of the time come.
    fake.faults = [passed] * 2 + [lambda h: time.sleep(120) or True] * 40
    process = subprocess.Popen(
        box.command("restore", ARCHIVE, box.path("out.db"), "-D",
                    "archive.s3.endpoint=" + fake.endpoint),
        stderr=subprocess.PIPE, env=environment())
    box.wait_until(lambda: len(of_files(fake)) > 1, 30, "no request")
    process.send_signal(signal.SIGTERM)
    err = process.communicate(timeout=60 * box.slow)[1].decode()
    expect(process.returncode == 1 and "interrupted" in err, "exit %d: %s",
           process.returncode, err)
    expect(os.listdir(box.folder) == [], "left behind: %s", os.listdir(box.folder))


def test_at_aws_the_bucket_is_in_the_name_of_the_host(box):
    """By way of a proxy, which takes the place of AWS and its certificate."""
    box.need_tool("openssl")
    host = "%s.s3.%s.amazonaws.com" % (BUCKET, REGION)
    certificate, key = box.path("cert.pem"), box.path("key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=AWS",
         "-addext", "subjectAltName=DNS:" + host, "-keyout", key, "-out", certificate],
        check=True, stderr=subprocess.DEVNULL)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    fake = filled(box, handler=AwsHandler, tls=tls)
    env = environment(https_proxy=fake.endpoint)
    out = box.path("out.db")
    done = box.run("restore", ARCHIVE, out, "-D", "archive.s3.ca=" + certificate, env=env,
                   timeout=60)
    expect(done.code == 0, "%s", done)
    with open(out, "rb") as file:
        expect(file.read() == state(6), "another state")
    expect(set(fake.hosts) == {host + ":443"}, "hosts: %s", fake.hosts)
    expect(all(not path.startswith("/" + BUCKET) for _, path, _ in fake.requests),
           "%s", fake.requests)
    done = box.run("archive", "list", ARCHIVE, env=env, timeout=60)
    expect(done.code == 1 and "is not trusted" in done.error_lines[0], "%s", done)


def test_a_bucket_may_be_in_front_of_the_host(box):
    fake = filled(box, handler=HostHandler)
    there = {"endpoint": "http://storage.example", "env": environment(
        http_proxy=fake.endpoint)}
    restored(box, fake, settings=["archive.s3.bucket.in.host=true"], **there)
    expect(fake.requests and all(
        headers["Host"] == BUCKET + ".storage.example" and "/%s/" % BUCKET not in path
        for _, path, headers in fake.requests), "%s", fake.requests)
    done = fake.run("archive", "list", "s3://My.Bucket/app",
                    settings=["archive.s3.bucket.in.host=true"], **there)
    expect(done.code == 2 and "My.Bucket cannot be part of the name of a host" in
           done.error_lines[-1], "%s", done)


def test_queries_fetch_what_they_need(box):
    """Each range that is read at random is one request, and small."""
    writer, path = box.database("PRAGMA page_size=%d" % PAGE,
                                "CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
                                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 "
                                "FROM n WHERE i<20000) INSERT INTO t SELECT i, "
                                "printf('%040d', i) FROM n")
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "rb") as file:
        content = file.read()
    count = len(content) // PAGE
    fake = FakeS3(box)
    fake.put(key_of(9, 1, 1), ltx.encode(1, 1, PAGE, count, {
        n + 1: content[n * PAGE:(n + 1) * PAGE] for n in range(count)}))
    done = fake.run("sql", ARCHIVE, "SELECT v FROM t WHERE id = 12345")
    expect(done.code == 0 and b"0012345" in done.out, "%s", done)
    lengths = []
    for method, _, headers in fake.requests:
        if "Range" in headers or "range" in headers:
            first, last = (headers.get("Range") or headers["range"])[6:].split("-")
            lengths.append(int(last) - int(first) + 1)
    expect(len(fake.requests) < 30 and sum(lengths) < len(content) // 2,
           "%d requests, %d of %d bytes", len(fake.requests), sum(lengths), len(content))


def drip(handler):
    """A byte now and then, for ever."""
    handler.send_response_only(206)
    handler.send_header("Content-Length", "300")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.3)
    handler.cut()
    return True


def test_silence_and_dripping_are_given_up(box):
    fake = filled(box)

    def silent(handler):
        time.sleep(30)
        handler.cut()
        return True
    for fault in (drip, silent, lambda h: h.answer(206, b"x" * 10, length=900) or (
            time.sleep(30) or True)):
        fake.faults = [passed, fault]
        restored(box, fake, settings=["archive.s3.timeout.ms=1000"])


def test_a_stop_ends_a_wait(box):
    fake = filled(box)
    fake.faults = [lambda h: time.sleep(60) or True] * 9
    process = subprocess.Popen(
        box.command("restore", ARCHIVE, box.path("out.db"), "-D",
                    "archive.s3.endpoint=" + fake.endpoint),
        stderr=subprocess.PIPE, env=environment())
    box.wait_until(lambda: fake.requests, 30, "no request")
    process.send_signal(signal.SIGTERM)
    err = process.communicate(timeout=30 * box.slow)[1].decode()
    expect(process.returncode == 1 and "interrupted" in err, "exit %d: %s",
           process.returncode, err)


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 180

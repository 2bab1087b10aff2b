"""Archives in a bucket of a real S3 server: what the real Litestream writes there is
restored byte for byte."""

import os

from harness import ltx
from harness.box import expect
from harness.litestream import Litestream
from harness.s3 import ACCESS, BUCKET, REGION, SECRET, S3Server, environment
from harness.pages import content

PAGE = 512

REPLICA = """      type: s3
      bucket: {bucket}
      path: {prefix}
      endpoint: {endpoint}
      region: {region}
      force-path-style: true
      access-key-id: {access}
      secret-access-key: {secret}"""


def replicate(box, server, path, prefix, **intervals):
    os.environ.update({k: v for k, v in environment().items() if k.startswith("AWS_")})
    return Litestream(
        box, path, None, replica=REPLICA.format(
            bucket=BUCKET, prefix=prefix, endpoint=server.endpoint, region=REGION,
            access=ACCESS, secret=SECRET),
        url="s3://%s/%s?endpoint=%s&region=%s&forcePathStyle=true" % (
            BUCKET, prefix, server.endpoint, REGION), **intervals)


def test_every_state_that_litestream_wrote_there(box):
    server = S3Server(box)
    writer, path = box.database("PRAGMA page_size=4096")
    one = replicate(box, server, path, "some/app", first="1s", second="3s",
                    snapshot="3s")
    archive = "s3://%s/some/app" % BUCKET
    for statement in (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)"
            " INSERT INTO t(v) SELECT hex(randomblob(300)) FROM n",
            "DELETE FROM t WHERE id > 500", "VACUUM",
            "INSERT INTO t(v) VALUES(randomblob(70000))",
            "UPDATE t SET v = 'x' WHERE id % 7 = 0"):
        writer.sql("c", statement)
        one.sync()
    box.wait_until(lambda: all(os.path.isdir(server.path("some/app/%04x" % n))
                               for n in (0, 1, 9)), 60, "not all levels are there")
    one.stop()
    writer.sql("c", "PRAGMA wal_checkpoint(TRUNCATE)")
    ends = sorted({name[17:33] for level in os.listdir(server.path("some/app"))
                   for name in os.listdir(server.path("some/app/" + level))})
    theirs, ours, count = box.path("theirs.db"), box.path("ours.db"), 0
    for txid in ends:
        there = one.restore(theirs, "-txid", txid)
        done = server.run("restore", archive, ours, "--at", "txid:" + txid)
        expect(there == (done.code == 0), "txid %s: Litestream %s, but %s", txid,
               "restores it" if there else "refuses it", done)
        if there:
            expect(content(theirs) == content(ours), "txid %s: another database", txid)
            os.remove(theirs)
            os.remove(ours)
            count += 1
    expect(count >= 3, "only %d states of %s", count, ends)
    done = server.run("restore", archive, ours)
    expect(done.code == 0 and content(ours) == content(path), "the newest: %s", done)
    done = server.run("archive", "verify", archive)
    expect(done.code == 0 and done.out.startswith(b"verified "), "verify: %s", done)
    return count, None


def test_prefixes_that_have_to_be_encoded(box):
    server = S3Server(box)
    pages = {n: b"%16d" % n * (PAGE // 16) for n in range(1, 9)}
    for prefix in ("plain", "with blank/a+b", "per%20cent", "q=a&b", "(x)*'!,;:@$~",
                   "\u00e4\u20ac/\U0001f600", "quote\"and<>"):
        name = server.path("%s/0009/%016x-%016x.ltx" % (prefix, 1, 1))
        os.makedirs(os.path.dirname(name))
        with open(name, "wb") as file:
            file.write(ltx.encode(1, 1, PAGE, 8, pages))
        out = box.path("out.db")
        done = server.run("restore", "s3://%s/%s" % (BUCKET, prefix), out)
        expect(done.code == 0 and content(out) == b"".join(pages.values()), "%s: %s",
               prefix, done)
        os.remove(out)


def refused(server, code, part, **more):
    done = server.run("archive", "list", "s3://%s/app" % BUCKET, **more)
    lines = done.error_lines
    expect(done.code == code and len(lines) == 1 and part in lines[0],
           "expected exit %d and %r: %s", code, part, done)
    expect(SECRET not in lines[0], "a secret is told: %s", done)


def test_what_it_refuses_is_said(box):
    server = S3Server(box)
    refused(server, 2, "the secret key is not that of the access key",
            env=environment(AWS_SECRET_ACCESS_KEY="wrong"))
    refused(server, 2, "does not know the access key",
            env=environment(AWS_ACCESS_KEY_ID="wrong"))
    refused(server, 2, "the region is %s, not us-east-1" % REGION,
            settings=["archive.s3.region=us-east-1"])
    refused(server, 2, "the server does not take the session token",
            env=environment(AWS_SESSION_TOKEN="some"))
    done = server.run("archive", "list", "s3://nothere/app")
    expect(done.code == 2 and "has no bucket nothere" in done.error_lines[0], "%s", done)


def test_tls_with_a_ca_of_its_own(box):
    server = S3Server(box, tls=True)
    done = server.run("archive", "list", "s3://%s/app" % BUCKET)
    expect(done.code == 0 and b"latest: none" in done.out, "%s", done)
    refused(server, 1, "is not trusted",
            settings=["archive.s3.ca=/etc/ssl/certs/ca-certificates.crt"])


for test, function in list(globals().items()):
    if test.startswith("test_"):
        function.timeout = 600

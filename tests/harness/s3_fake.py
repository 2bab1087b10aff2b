"""An S3 server of our own, in memory: for the faults that a real one does not give, and
for machines without Go. It verifies signatures as AWS describes them."""

import hashlib
import hmac
import re
import socket
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from .s3 import ACCESS, BUCKET, REGION, SECRET, environment

TIME_HEADER = "x-amz-meta-litestream-timestamp"


def error_xml(code, message="a message", more=""):
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>%s'
            "</Message>%s</Error>" % (code, message, more)).encode()


def signature(secret, method, path, query, headers, signed, body_hash, when, region):
    """Hex, of a request as it came."""
    pairs = sorted((quote(k, safe="-._~"), quote(v, safe="-._~"))
                   for k, v in parse_qsl(query, keep_blank_values=True))
    lines = "".join("%s:%s\n" % (name, re.sub(" +", " ", headers[name].strip()))
                    for name in signed)
    request = "\n".join([method, path, "&".join("%s=%s" % p for p in pairs), lines,
                         ";".join(signed), body_hash])
    scope = "%s/%s/s3/aws4_request" % (when[:8], region)
    text = "\n".join(["AWS4-HMAC-SHA256", when, scope,
                      hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (when[:8], region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True   # head and body are two writes
    in_host = ""

    def log_message(self, *args):
        pass

    @property
    def fake(self):
        return self.server.fake

    def answer(self, code, body=b"", headers=(), length=None):
        self.send_response_only(code)
        names = {name.lower() for name, _ in headers}
        if "date" not in names:
            self.send_header("Date", formatdate(usegmt=True))
        for name, value in headers:
            self.send_header(name, value)
        if code != 204 and "content-length" not in names:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, code, name, message="a message", more="", headers=()):
        self.answer(code, error_xml(name, message, more), headers)

    def cut(self):
        """No answer, and no connection any more."""
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.bucket, _, self.key = (
            (self.in_host, "", unquote(parts.path)[1:]) if self.in_host
            else unquote(parts.path)[1:].partition("/"))
        with self.fake.lock:
            self.fake.requests.append((self.command, self.path,
                                       dict(self.headers.items())))
            fault = self.fake.faults.pop(0) if self.fake.faults else None
        time.sleep(self.fake.delay)
        try:
            if fault and fault(self):
                return
            self.serve(parts)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def is_signed(self, parts):
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(\S+)/(\d{8})/(\S+)/s3/aws4_request,"
            r"SignedHeaders=(\S+),Signature=([0-9a-f]{64})",
            self.headers.get("Authorization", ""))
        if not found:
            return self.fail(403, "AccessDenied")
        access, _, region, signed, given = found.groups()
        headers = {k.lower(): v for k, v in self.headers.items()}
        body_hash = headers.get("x-amz-content-sha256", "")
        must = {k for k in headers if k.startswith("x-amz-")} | {"host"}
        secret, token = self.fake.keys.get(access, (None, None))
        if secret is None:
            return self.fail(403, "InvalidAccessKeyId")
        if token and headers.get("x-amz-security-token") != token:
            return self.fail(400, "ExpiredToken")
        if region != REGION:
            return self.fail(400, "AuthorizationHeaderMalformed", "wrong region",
                             "<Region>%s</Region>" % REGION)
        if body_hash != hashlib.sha256(self.body).hexdigest():
            return self.fail(400, "XAmzContentSHA256Mismatch")
        if not must <= set(signed.split(";")) or given != signature(
                secret, self.command, parts.path, parts.query, headers, signed.split(";"),
                body_hash, headers["x-amz-date"], region):
            return self.fail(403, "SignatureDoesNotMatch")
        return True

    def serve(self, parts):
        if not self.is_signed(parts):
            return None
        if self.bucket != BUCKET:
            return self.fail(404, "NoSuchBucket")
        if self.command == "GET" and not self.key:
            return self.list("uploads" in self.query)
        return getattr(self, "object_" + self.command.lower())()

    # -- objects ----------------------------------------------------------------------

    def headers_of(self, thing):
        found = [("ETag", '"%s"' % hashlib.md5(thing.body).hexdigest())]
        return found + ([(TIME_HEADER, thing.time)] if thing.time else [])

    def object_get(self):
        thing = self.fake.objects.get(self.key)
        if not thing:
            return self.fail(404, "NoSuchKey")
        size = len(thing.body)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not wanted:
            return self.answer(200, thing.body, self.headers_of(thing))
        first, last = int(wanted[1]), min(int(wanted[2]), size - 1)
        if first >= size:
            return self.fail(416, "InvalidRange")
        return self.answer(206, thing.body[first:last + 1], self.headers_of(thing) + [
            ("Content-Range", "bytes %d-%d/%d" % (first, last, size))])

    def object_head(self):
        thing = self.fake.objects.get(self.key)
        if not thing:
            return self.answer(404)
        return self.answer(200, b"", self.headers_of(thing), len(thing.body))

    def object_put(self):
        if "uploadId" in self.query:
            parts = self.fake.uploads.get(self.query["uploadId"])
            if parts is None:
                return self.fail(404, "NoSuchUpload")
            parts[1][int(self.query["partNumber"])] = self.body
            return self.answer(200, b"", [("ETag", '"%s"' % hashlib.md5(
                self.body).hexdigest())])
        return self.store(self.body, self.headers.get(TIME_HEADER, ""),
                          lambda: self.answer(200, b"", self.headers_of(
                              self.fake.objects[self.key])))

    def store(self, body, stamp, done):
        with self.fake.lock:
            if self.headers.get("If-None-Match") == "*" and self.key in self.fake.objects:
                refused = True
            else:
                refused = False
                self.fake.put(self.key, body, stamp)
        return self.fail(412, "PreconditionFailed") if refused else done()

    def object_delete(self):
        if "uploadId" in self.query:
            gone = self.fake.uploads.pop(self.query["uploadId"], None)
            return self.answer(204) if gone else self.fail(404, "NoSuchUpload")
        self.fake.objects.pop(self.key, None)
        return self.answer(204)

    def object_post(self):
        if "uploads" in self.query:
            upload = "upload&%d" % (len(self.fake.uploads) + self.fake.upload_count)
            self.fake.upload_count += 1
            self.fake.uploads[upload] = (self.key, {}, self.headers.get(TIME_HEADER, ""))
            return self.answer(200, (
                "<InitiateMultipartUploadResult><UploadId>%s</UploadId>"
                "</InitiateMultipartUploadResult>" % escape(upload)).encode())
        upload = self.fake.uploads.get(self.query["uploadId"])
        if upload is None:
            return self.fail(404, "NoSuchUpload")
        named = re.findall(r"<PartNumber>(\d+)</PartNumber>\s*<ETag>(.*?)</ETag>",
                           self.body.decode())
        body = b"".join(upload[1][int(n)] for n, _ in named)

        def done():
            self.fake.uploads.pop(self.query["uploadId"])
            self.answer(200, b"<CompleteMultipartUploadResult><ETag>&quot;x-1&quot;"
                        b"</ETag></CompleteMultipartUploadResult>")
        return self.store(body, upload[2], done)

    # -- lists ------------------------------------------------------------------------

    def list(self, of_uploads):
        prefix = self.query.get("prefix", "")
        if of_uploads:
            rows = "".join("<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>" % (
                escape(key), escape(name)) for name, (key, _, _) in
                self.fake.uploads.items() if key.startswith(prefix))
            return self.answer(200, ("<ListMultipartUploadsResult>%s"
                                     "</ListMultipartUploadsResult>" % rows).encode())
        after = self.query.get("continuation-token", "")
        after = after[len("after&"):] if after else self.query.get("start-after", "")
        keys = [k for k in sorted(self.fake.objects) if k.startswith(prefix) and k > after]
        page = keys[:self.fake.page_size]
        rows = "".join(
            "<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;x&quot;"
            "</ETag><Size>%d</Size></Contents>" % (
                escape(key), time.strftime("%Y-%m-%dT%H:%M:%S.000Z",
                                           time.gmtime(self.fake.objects[key].modified)),
                len(self.fake.objects[key].body)) for key in page)
        more = len(keys) > len(page)
        token = ("<NextContinuationToken>after&amp;%s</NextContinuationToken>" % escape(
            page[-1])) if more else ""
        return self.answer(200, (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.'
            'amazonaws.com/doc/2006-03-01/"><IsTruncated>%s</IsTruncated>%s%s'
            "</ListBucketResult>" % ("true" if more else "false", rows, token)).encode())


class Thing:
    def __init__(self, body, stamp, modified):
        self.body = body
        self.time = stamp
        self.modified = modified


# What may stand in FakeS3.faults.

def passed(_):
    """Nothing is wrong with this one."""
    return False


def cut(handler):
    handler.cut()
    return True


def failing(code, name, **more):
    def fail(handler):
        handler.fail(code, name, **more)
        return True
    return fail


def answering(code, body=b"", headers=(), length=None, cuts=False):
    def answer(handler):
        handler.answer(code, body, headers, length)
        return cut(handler) if cuts else True
    return answer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


class AwsHandler(Handler):
    """As AWS: a proxy is told CONNECT BUCKET.s3.REGION.amazonaws.com:443, then TLS begins,
    and the bucket is not in the path."""

    def do_CONNECT(self):
        self.fake.hosts.append(self.path)
        self.send_response_only(200)
        self.end_headers()
        self.wfile.flush()
        self.connection = self.fake.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False
        while not self.close_connection:
            self.handle_one_request()

    def do_GET(self):
        self.in_host = self.headers["Host"].split(".s3.")[0]
        super().do_GET()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET


class HostHandler(Handler):
    """The bucket is in front of the host, BUCKET.HOST, and not in the path."""

    def do_GET(self):
        self.in_host = self.headers["Host"].split(".")[0]
        super().do_GET()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET


class FakeS3:
    """`faults`: functions that take the handler of the next requests, in turn; one that
    returns something true has answered."""

    def __init__(self, box, handler=Handler, tls=None):
        self.box = box
        self.tls = tls
        self.hosts = []
        self.lock = threading.Lock()
        self.keys = {ACCESS: (SECRET, None)}  # and the token that they need
        self.objects = {}
        self.uploads = {}
        self.upload_count = 0
        self.requests = []
        self.delay = 0                        # seconds, of each answer
        self.faults = []
        self.page_size = 1000
        self.server = Server(("127.0.0.1", 0), handler)
        self.server.fake = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,),
                                       daemon=True)
        self.thread.start()
        box.opened.append(self)

    @property
    def endpoint(self):
        return "http://127.0.0.1:%d" % self.port

    def put(self, key, body, stamp="", modified=None):
        self.objects[key] = Thing(body, stamp,
                                  time.time() if modified is None else modified)

    def run(self, *args, env=None, settings=(), endpoint=None, **more):
        options = ["-D", "archive.s3.endpoint=" + (endpoint or self.endpoint)]
        for setting in settings:
            options += ["-D", setting]
        return self.box.run(*args, *options, env=env or environment(),
                            timeout=more.pop("timeout", 60), **more)

    def methods(self):
        with self.lock:
            return [method for method, _, _ in self.requests]

    def close(self):
        self.server.shutdown()
        self.server.server_close()

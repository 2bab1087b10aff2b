"""A real S3 server, which judges what is asked of a bucket: `make s3` builds versitygw
(with Go), S3_SERVER names another build of it. It verifies signatures and the hashes of
bodies, and keeps objects as plain files."""

import os
import signal
import socket
import subprocess

from .box import TESTS, Failed, NotRun, expect

BUILT = os.path.join(os.path.dirname(TESTS), "build", "s3", "versitygw")
ACCESS = "testaccess"
SECRET = "testsecret/key+12"  # what needs care is in it
REGION = "eu-test-1"
BUCKET = "test"


def find():
    program = os.environ.get("S3_SERVER") or BUILT
    if not os.path.exists(program):
        raise NotRun("no S3 server: make s3 builds one (with Go), S3_SERVER=PATH names "
                     "one")
    return program


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class S3Server:
    """One bucket, on a port of its own."""

    def __init__(self, box, *options, tls=False):
        self.box = box
        self.program = find()
        self.folder = box.path("s3")
        self.options = options
        self.tls = tls
        self.process = None
        self.port = free_port()
        for name in ("data", "meta", os.path.join("data", BUCKET)):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        if tls:
            self.make_certificate()
        box.opened.append(self)
        self.start()

    @property
    def endpoint(self):
        return "%s://127.0.0.1:%d" % ("https" if self.tls else "http", self.port)

    @property
    def certificate(self):
        return os.path.join(self.folder, "cert.pem")

    def make_certificate(self):
        self.box.need_tool("openssl")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
             "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
             os.path.join(self.folder, "key.pem"), "-out", self.certificate],
            check=True, stderr=subprocess.DEVNULL)

    def start(self):
        more = ["--cert", self.certificate, "--key",
                os.path.join(self.folder, "key.pem")] if self.tls else []
        self.process = subprocess.Popen(
            [self.program, "--port", "127.0.0.1:%d" % self.port, "--region", REGION,
             "--keep-alive", *more, *self.options, "posix", "--sidecar",
             os.path.join(self.folder, "meta"), os.path.join(self.folder, "data")],
            stdin=subprocess.DEVNULL, stdout=open(os.path.join(self.folder, "log"), "ab"),
            stderr=subprocess.STDOUT,
            env=dict(os.environ, ROOT_ACCESS_KEY_ID=ACCESS,
                     ROOT_SECRET_ACCESS_KEY=SECRET))
        self.box.wait_until(self.answers, 60, "the S3 server does not answer")

    def answers(self):
        expect(self.process.poll() is None, "the S3 server ended: %s", self.log())
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8",
                  errors="replace") as file:
            return file.read()

    def path(self, key):
        return os.path.join(self.folder, "data", BUCKET, key)

    def run(self, *args, env=None, settings=(), **more):
        """rowtail with the address and the credentials of this server."""
        options = ["-D", "archive.s3.endpoint=" + self.endpoint]
        if self.tls:
            options += ["-D", "archive.s3.ca=" + self.certificate]
        for setting in settings:
            options += ["-D", setting]
        return self.box.run(*args, *options, env=env or environment(),
                            timeout=more.pop("timeout", 60), **more)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30 * self.box.slow)
        except subprocess.TimeoutExpired:
            raise Failed("the S3 server does not stop: %s" % self.log()[-2000:])

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def environment(**changes):
    """Nothing of the machine's own, but these credentials."""
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith("AWS_") and not k.lower().endswith("_proxy")}
    return {**clean, "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION, **changes}

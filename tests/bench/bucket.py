# SPDX-License-Identifier: Apache-2.0
"""A bucket of a real server on this machine (tests/harness/s3.py), for the figures."""

import contextlib
import os
import pathlib
import shutil
import sys
import time

from kafka_figures import NotRun
from processes import BenchError

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import box as harness_box  # noqa: E402
from harness import s3  # noqa: E402


class Bucket:
    """What tests/harness/s3.py asks of a box, and the server."""

    slow = 1
    region = s3.REGION

    def __init__(self, folder):
        self.folder = folder
        self.opened = []
        self.server = None

    def __enter__(self):
        shutil.rmtree(self.path("s3"), ignore_errors=True)
        try:
            self.server = s3.S3Server(self)
        except harness_box.NotRun as why:
            raise NotRun(str(why)) from why
        return self

    def __exit__(self, *_):
        self.server.close()
        shutil.rmtree(self.path("s3"), ignore_errors=True)

    def path(self, name):
        return str(self.folder / name)

    @staticmethod
    def wait_until(claim, timeout, text):
        deadline = time.monotonic() + timeout
        while not claim():
            if time.monotonic() > deadline:
                raise BenchError(text)
            time.sleep(0.02)

    @staticmethod
    def url(name):
        return f"s3://{s3.BUCKET}/{name}"

    def fill(self, name, folder):
        """The same files; objects are plain files there, and levels have other names."""
        for level in (pathlib.Path(folder) / "ltx").iterdir():
            shutil.copytree(level, self.server.path(f"{name}/{int(level.name):04x}"))

    def counts(self):
        """Requests so far, by what they cost."""
        found = {"put": 0, "list": 0, "other": 0}
        for line in self.server.log().splitlines():
            words = [word.strip() for word in line.split("|")]
            if len(words) < 8:
                continue
            method, path = words[5], words[6]
            is_list = method == "GET" and path.strip("/") == s3.BUCKET
            found["put" if method in ("PUT", "POST") else
                  "list" if is_list else "other"] += 1
        return found

    @staticmethod
    @contextlib.contextmanager
    def credentials():
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(s3.environment())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

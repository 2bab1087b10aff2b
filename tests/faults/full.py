"""A disk that is full for a while: rowtail says so in one line, holds the application's
WAL, and goes on by itself when there is room again. Nothing is found by comparing.
"""

import os
import signal
import time

from faults.disk import Disk
from harness.box import expect

SHORT = ["images", "half-records", "half-pages", "meta", "quota", "waiting", "output",
         "all"]
# What cannot be done meanwhile: calls, files, how. The last one is all at once.
WAYS = {
    "images": ("grow", "state-*/frames", "ENOSPC"),
    "records": ("write", "state-*/log-*", "ENOSPC"),
    "half-records": ("write", "state-*/log-*", "HALF"),
    "segments": ("make", "state-*/log-*", "ENOSPC"),
    "shadow": ("write,cut", "state-*/shadow", "ENOSPC"),
    "half-pages": ("write", "state-*/shadow", "HALF"),
    "shadow-sync": ("sync", "state-*/shadow", "ENOSPC"),
    "hashes": ("write", "state-*/hashes", "ENOSPC"),
    "meta": ("make,write", "state-*/meta.new", "ENOSPC"),
    "quota": ("write,grow,make", "state-*/[flsmh]*", "EDQUOT"),
    "waiting": ("write,make", "state-*/archive/new", "ENOSPC"),
    "output": ("write", "out-*", "HALF"),
    "all": ("write,grow,make", "[so][tu][at]*/[flsmh]*", "ENOSPC"),
}


def wait_for_all(chain, tail):
    """Until the last commit has come, without anybody's help."""
    last = b'{"n":%d}' % chain.application.number
    deadline = time.monotonic() + 20 * chain.box.slow
    while True:
        if chain.to_file:
            with open(chain.out, "rb") as source:
                found = last in source.read()
        else:
            found = any(last in line for line in list(tail.lines)[-400:])
        if found:
            return
        expect(tail.process.poll() is None, "it ended: %s", tail.error_text())
        expect(time.monotonic() < deadline, "it does not go on; stderr:\n%s",
               tail.error_text())
        time.sleep(0.05)


def told_of(tail):
    return [t for t in list(tail.errors) if any(
        word in t for word in ("is full", "No space left", "quota exceeded"))]


def run_full(box, way, seed):
    calls, files, how = WAYS[way]
    flag = box.path("full")
    chain = Disk(box, seed, to_file=way in ("output", "all"), archives=way == "waiting")
    tail = chain.start({"ROWTAIL_FAIL": "%s %s/%s 1 0 %s" % (
        calls, box.folder, files, how), "ROWTAIL_FAIL_WHILE": flag})
    tail.wait_following(20)
    chain.application.steps(20)
    open(flag, "w").close()
    chain.application.steps(200)
    chain.application.large()

    def is_told():
        chain.application.steps(1)
        return told_of(tail)

    box.wait_until(is_told, 30, "nothing is said of the full disk")
    chain.application.steps(10)
    expect(tail.process.poll() is None, "it ended: %s", tail.error_text())
    os.unlink(flag)
    wait_for_all(chain, tail)
    chain.application.steps(50)
    wait_for_all(chain, tail)
    full = told_of(tail)
    expect(len(full) == 1 or (way == "all" and len(full) in (2, 3)),
           "not one line: %s", tail.errors)
    tail.process.send_signal(signal.SIGTERM)
    chain.end(tail, 0)
    chain.check()
    chain.verify()
    expect(chain.consumer.catch_ups == 0, "a catch-up")

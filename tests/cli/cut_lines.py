"""Lines that were cut: by a stop, a full disk, a kill. They are said, and the next run
begins on a line of its own, so that nothing is glued behind them."""

import json
import os
import resource
import signal
import subprocess
import time

from harness.box import expect

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
LONG = 3 << 20
INSERT = "INSERT INTO t VALUES (%d, printf('%%.*c', %d, 'x'))"
SAID = "ended inside a line"


def check_lines(data, ids, cut):
    """Lines of these ids in this order, and so many that were cut."""
    got, halves = [], 0
    for line in data.split(b"\n")[:-1]:
        try:
            got.append(json.loads(line)["after"]["id"])
        except ValueError:
            halves += 1
    expect(data.endswith(b"\n"), "ends with %r", data[-50:])
    expect(got == ids and halves == cut, "ids %s, %d lines that are none", got, halves)


def append_once(box, out, *args, preexec=None):
    """A run whose stdout a shell's >> opened: its exit code and messages."""
    with open(out, "ab") as file:
        process = subprocess.Popen(box.command(*args, "--once"), stdout=file,
                                   stderr=subprocess.PIPE, preexec_fn=preexec)
        _, err = process.communicate(timeout=60 * box.slow)
    return process.returncode, err.decode()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def take(tail, until):
    """Reads the pipe of a tail to its end, or until so many bytes have come."""
    data = b""
    while len(data) < until:
        more = os.read(tail.process.stdout.fileno(), 1 << 16)
        if not more:
            break
        data += more
    return data


def stop_inside_line(box, path, *args):
    """SIGTERM while a reader that began to read a long line stands still."""
    tail = box.tail(path, *args, take=False)
    data = take(tail, 1 << 17)
    tail.process.send_signal(signal.SIGTERM)
    # The pipe is full; rowtail waits some seconds, in which nothing is read.
    deadline = time.monotonic() + 20 * box.slow
    while tail.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    expect(tail.process.poll() == 0, "exit %s: %s", tail.process.poll(), tail.error_text())
    tail.error_end.wait(5 * box.slow)
    expect(any("inside a line of which" in e for e in tail.errors), "not said: %s",
           tail.error_text())
    return data + take(tail, 1 << 30), tail


def test_a_stop_inside_a_line_says_so_and_the_next_run_gives_it_whole(box):
    _, path = box.database(TABLE, INSERT % (1, 10), INSERT % (2, LONG), INSERT % (3, 10))
    state = ("--state", box.path("state"))
    first, tail = stop_inside_line(box, path, *state)
    expect(any("whole, at the next start" in e for e in tail.errors), "%s",
           tail.error_text())
    check_lines(first + b"\n", [1], 1)
    # The next run has a pipe of its own, with whole lines in it.
    result = box.run(path, *state, "--once")
    expect(result.code == 0 and SAID not in result.err.decode(), "%s", result)
    check_lines(result.out, [2, 3], 0)


def test_without_a_state_directory_it_says_what_to_drop(box):
    _, path = box.database(TABLE, INSERT % (1, LONG))
    _, tail = stop_inside_line(box, path, "--snapshot")
    expect(any("drop what has no line end" in e for e in tail.errors), "%s",
           tail.error_text())


def test_a_file_that_a_kill_left_inside_a_line(box):
    _, path = box.database(TABLE, INSERT % (1, LONG))
    out = box.path("out")
    state = ("--state", box.path("state"))
    with open(out, "ab") as file:
        tail = subprocess.Popen(["sh", "-c", 'exec "$@" | dd bs=1000 count=200 2>/dev/null',
                                 "sh", *box.command(path, *state, "--once")], stdout=file,
                                stderr=subprocess.DEVNULL)
        tail.wait(60 * box.slow)
    half = read(out)
    expect(half and b"\n" not in half, "no half line: %d bytes", len(half))
    code, err = append_once(box, out, path, "--snapshot")
    expect(code == 0 and SAID in err, "exit %s: %s", code, err)
    check_lines(read(out), [1], 1)
    # A file that ends in a line end gets none.
    code, err = append_once(box, out, path, "--snapshot")
    expect(code == 0 and SAID not in err, "exit %s: %s", code, err)
    check_lines(read(out), [1, 1], 1)


def test_a_full_disk_inside_a_line(box):
    _, path = box.database(TABLE, INSERT % (1, 10), INSERT % (2, 200000), INSERT % (3, 10))
    out = box.path("out")
    limit = 100000

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    code, err = append_once(box, out, path, "--snapshot", preexec=small)
    expect(code == 1 and "standard output" in err and "inside a line of which" in err,
           "exit %s: %s", code, err)
    check_lines(read(out) + b"\n", [1], 1)
    code, err = append_once(box, out, path, "--snapshot")
    expect(code == 0 and SAID in err, "exit %s: %s", code, err)
    check_lines(read(out), [1, 1, 2, 3], 1)

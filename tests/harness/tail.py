"""Runs the program under test beside a database and takes its output."""

import collections
import os
import re
import shlex
import signal
import subprocess
import threading
import time


def is_following(line):
    """In either form of the lines on stderr."""
    return line.startswith("rowtail: following ") or '"msg":"following ' in line


def without_time(line):
    """What a line on stderr says, where it is neither a terminal nor the journal."""
    return re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?=rowtail: )", "", line)


class TailFailed(Exception):
    """The program ended, or said nothing, where it should have gone on."""


class Tail:
    """One running rowtail. Lines are taken by a thread, so its pipe never fills."""

    def __init__(self, command, wrapper="", env=None, cwd=None, slow=1.0, take=True,
                 preexec=None):
        self.slow = slow
        self.command = shlex.split(wrapper) + [str(c) for c in command]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=env, cwd=cwd, preexec_fn=preexec)
        self.lines = collections.deque()
        self.taken = 0              # lines handed out
        self.arrived = 0            # lines seen
        self.rest = b""             # bytes after the last line end
        self.errors = []
        self.all_lines = collections.deque(maxlen=4000)
        self.news = threading.Condition()
        self.ended = False
        self.following = threading.Event()
        self.error_end = threading.Event()
        self.error_thread = threading.Thread(target=self._take_errors, daemon=True)
        self.error_thread.start()
        self.line_thread = None
        if take:
            self.start_taking()

    def start_taking(self):
        self.line_thread = threading.Thread(target=self._take_lines, daemon=True)
        self.line_thread.start()

    @property
    def pid(self):
        return self.process.pid

    def _take_lines(self):
        descriptor = self.process.stdout.fileno()
        rest = b""
        while True:
            data = os.read(descriptor, 1 << 18)
            if not data:
                break
            parts = (rest + data).split(b"\n")
            rest = parts.pop()
            if parts:
                lines = [p + b"\n" for p in parts]
                with self.news:
                    self.lines.extend(lines)
                    self.all_lines.extend(lines)
                    self.arrived += len(lines)
                    self.news.notify_all()
        with self.news:
            self.rest = rest
            self.ended = True
            self.news.notify_all()

    def _take_errors(self):
        for line in self.process.stderr:
            text = without_time(line.decode("utf-8", "replace").rstrip("\n"))
            self.errors.append(text)
            if is_following(text):
                self.following.set()
        self.error_end.set()
        self.following.set()

    def error_text(self):
        return "\n".join(self.errors[-40:])

    def wait_following(self, timeout=10):
        """Returns when the starting position is held."""
        if not self.following.wait(timeout * self.slow):
            raise TailFailed("no 'rowtail: following' within %g s; stderr:\n%s" % (
                timeout * self.slow, self.error_text()))
        if not any(is_following(e) for e in self.errors):
            self.process.wait()
            raise TailFailed("ended (exit %s) before following; stderr:\n%s" % (
                self.process.returncode, self.error_text()))

    def available(self):
        return len(self.lines)

    def peek(self, index=0):
        return self.lines[index]

    def wait_lines(self, count, timeout=10):
        """True once `count` lines wait to be taken; False after `timeout` seconds
        in which none came. Raises when the program has ended before."""
        deadline = time.monotonic() + timeout * self.slow
        with self.news:
            while len(self.lines) < count:
                if self.ended:
                    self.process.wait()
                    raise TailFailed("ended (exit %s) after %d lines; stderr:\n%s" % (
                        self.process.returncode, self.arrived, self.error_text()))
                before = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.news.wait(left)
                if len(self.lines) > before:
                    deadline = time.monotonic() + timeout * self.slow
        return True

    def wait_quiet(self, seconds):
        """Returns when no line has come for `seconds`."""
        with self.news:
            while not self.ended:
                seen = self.arrived
                self.news.wait_for(lambda: self.arrived != seen or self.ended,
                                   seconds * self.slow)
                if self.arrived == seen:
                    return

    def take(self, count):
        with self.news:
            result = [self.lines.popleft() for _ in range(count)]
        self.taken += count
        return result

    def take_all(self):
        return self.take(len(self.lines))

    def wait_exit(self, timeout=10):
        """The exit code; None if it still runs after `timeout` seconds."""
        try:
            code = self.process.wait(timeout * self.slow)
        except subprocess.TimeoutExpired:
            return None
        self.error_end.wait(5)
        if self.line_thread:
            self.line_thread.join(5)
        return code

    def stop(self, sig=signal.SIGTERM, timeout=6):
        """Ends the program; its exit code, or None where it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.wait_exit(timeout)
        if code is None:
            self.kill()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.error_end.wait(5)

    def close(self):
        """Whatever state it is in, nothing of it stays."""
        self.kill()
        if self.line_thread:
            self.line_thread.join(5)
        self.process.stdout.close()
        self.process.stderr.close()


SANITIZER = re.compile(r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:"
                       r"|ERROR SUMMARY: [1-9]|Invalid (read|write) of size"
                       r"|uninitialised value")


def sanitizer_report(errors):
    """The first line of a sanitizer's or valgrind's complaint, or None."""
    return next((e for e in errors if SANITIZER.search(e)), None)

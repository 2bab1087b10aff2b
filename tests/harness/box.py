"""What one check gets: a folder of its own, the program, writers, and their end."""

import os
import re
import shutil
import signal
import subprocess
import shlex
import tempfile
import time

from .tail import Tail, sanitizer_report, without_time
from .writers import Writer, has_apsw

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class NotRun(Exception):
    """The check cannot run here; the text says why."""


class Failed(Exception):
    """The check found what it must not find."""


def expect(claim, text="", *args):
    if not claim:
        raise Failed(text % args if args else text)


class Options:
    """What the command line of tests/run.py says, for every check."""

    def __init__(self, rowtail, wrapper="", slow=1.0, fake=False):
        self.rowtail = os.path.abspath(rowtail)
        self.wrapper = wrapper
        self.slow = slow
        self.fake = fake

    @property
    def helpers(self):
        return os.path.join(os.path.dirname(os.path.realpath(self.rowtail)), "helpers")


class Result:
    """Of one program that ran to its end."""

    def __init__(self, code, out, err, seconds):
        self.code = code
        self.out = out
        self.err = err
        self.seconds = seconds

    @property
    def error_lines(self):
        return [without_time(line)
                for line in self.err.decode("utf-8", "replace").splitlines()]

    def __str__(self):
        return "exit %s after %.1f s\nstdout: %r\nstderr: %s" % (
            self.code, self.seconds, self.out[-600:],
            self.err.decode("utf-8", "replace")[-1500:])


def use_faults(box):
    """The program with places to be killed at."""
    program = box.options.rowtail + "-faults"
    if not os.access(program, os.X_OK):
        raise NotRun("%s is not built" % os.path.basename(program))
    box.options = Options(program, box.options.wrapper, box.options.slow)


class Box:
    """Cleans up all that was started with it."""

    def __init__(self, options, name="box"):
        self.options = options
        self.slow = options.slow
        self.folder = tempfile.mkdtemp(prefix="rowtail-%s-" % name[:30])
        self.opened = []

    def path(self, name="app.db"):
        return os.path.join(self.folder, name)

    def command(self, *args):
        return shlex.split(self.options.wrapper) + [self.options.rowtail] + [
            str(a) for a in args]

    def run(self, *args, timeout=15, stdin=subprocess.DEVNULL, env=None, cwd=None,
            preexec=None, command=None):
        """Runs rowtail to its end."""
        start = time.monotonic()
        process = subprocess.Popen(command or self.command(*args), stdin=stdin,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=env, cwd=cwd, preexec_fn=preexec)
        try:
            out, err = process.communicate(timeout=timeout * self.slow)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise Failed("still running after %g s: %s\nstdout: %r\nstderr: %s" % (
                timeout * self.slow, " ".join(map(str, args)), out[-500:],
                err.decode("utf-8", "replace")[-1500:]))
        result = Result(process.returncode, out, err, time.monotonic() - start)
        self.complain(result.error_lines)
        return result

    @staticmethod
    def complain(lines):
        complaint = sanitizer_report(lines)
        expect(not complaint, "%s\n%s", complaint, "\n".join(lines[-40:]))

    def tail(self, *args, wait=True, take=True, **more):
        """Starts rowtail; by default waits until it follows."""
        tail = Tail([self.options.rowtail, *args], self.options.wrapper, slow=self.slow,
                    take=take, **more)
        self.opened.append(tail)
        if wait:
            tail.wait_following(15)
        return tail

    def stop(self, tail, sig=signal.SIGTERM, code=0):
        """Ends a tail and checks how it ended."""
        got = tail.stop(sig)
        expect(got is not None, "did not end within 6 s of signal %d; stderr:\n%s",
               sig, tail.error_text())
        self.complain(tail.errors)
        expect(got == code, "exit %s, expected %s; stderr:\n%s", got, code,
               tail.error_text())
        return got

    def stop_with_empty_wal(self, tail, path):
        """What is not in the file after half a second, a stop leaves in the WAL."""
        start = time.monotonic()
        self.stop(tail)
        took = time.monotonic() - start
        size = os.path.getsize(path + "-wal")
        if size > 0 and took > 0.45:
            raise NotRun("the disk is too slow for an empty WAL after half a second")
        expect(size == 0, "a WAL of %d bytes is left", size)

    def writer(self, library="std"):
        if library == "apsw":
            self.need(has_apsw())
        writer = Writer(library)
        self.opened.append(writer)
        return writer

    def database(self, *statements, name="app.db", library="std", wal=True, **more):
        """Makes a database and returns (writer, path) with connection "c" open."""
        writer, path = self.writer(library), self.path(name)
        pragmas = [s for s in statements if s.upper().startswith("PRAGMA")]
        rest = [s for s in statements if not s.upper().startswith("PRAGMA")]
        if wal:
            pragmas.append("PRAGMA journal_mode=WAL")
        writer.open("c", path, pragmas=pragmas, **more)
        if rest:
            writer.sql("c", *rest)
        return writer, path

    def need(self, reason):
        if reason:
            raise NotRun(reason)

    def preloading(self, name, **settings):
        """The environment of a program into which tests/preload/NAME.c is loaded."""
        library = os.path.join(self.options.helpers, "..", "preload", name + ".so")
        kind = os.path.basename(os.path.dirname(os.path.realpath(self.options.rowtail)))
        self.need("" if os.path.exists(library) else name + ".so is not built")
        self.need("a sanitizer's library has to come first"
                  if re.search("asan|tsan", kind) else "")
        self.need("valgrind preloads its own" if self.options.wrapper else "")
        return dict(os.environ, LD_PRELOAD=os.path.realpath(library), **settings)

    def need_tool(self, name):
        found = shutil.which(name)
        if not found:
            raise NotRun("%s is not installed" % name)
        return found

    def wait_until(self, claim, timeout=10, text="it did not happen"):
        """Polls `claim` until it is true."""
        deadline = time.monotonic() + timeout * self.slow
        while not claim():
            expect(time.monotonic() < deadline, "%s within %g s", text,
                   timeout * self.slow)
            time.sleep(0.005)

    def close(self, keep=False):
        for thing in reversed(self.opened):
            thing.close()
        if not keep:
            for root, folders, _ in os.walk(self.folder):
                for folder in folders:
                    os.chmod(os.path.join(root, folder), 0o700)
            shutil.rmtree(self.folder, ignore_errors=True)

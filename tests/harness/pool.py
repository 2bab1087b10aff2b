"""Runs checks side by side, each in a process of its own, and counts."""

import multiprocessing
import os
import signal
import sys
import time
import traceback

from .box import Failed, NotRun


class Check:
    """One thing to find out. `run` returns None or a text, or raises; `count` is how
    many tests a pass stands for (run may return an int instead). `prepare` is called
    before, in the runner's own process: for what several checks share."""

    def __init__(self, suite, name, run, timeout=120, prepare=None):
        self.suite = suite
        self.name = name
        self.run = run
        self.timeout = timeout
        self.prepare = prepare


class Totals:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.not_run = 0
        self.reasons = {}
        self.failures = []
        self.notes = []
        self.seconds = {}  # of each check, by its name

    def line(self):
        return "%d passed, %d failed, %d not run" % (
            self.passed, self.failed, self.not_run)


def child(check, pipe):
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        answer = ("passed", check.run())
    except NotRun as reason:
        answer = ("not run", str(reason))
    except Failed as problem:
        answer = ("failed", str(problem))
    except BaseException:
        answer = ("failed", traceback.format_exc())
    pipe.send(answer)
    pipe.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class Running:
    def __init__(self, check, context):
        self.check = check
        self.start = time.monotonic()
        self.pipe, theirs = context.Pipe(False)
        self.process = context.Process(target=child, args=(check, theirs))
        self.process.start()
        theirs.close()

    def answer(self):
        """What it says, or None while it runs."""
        if self.pipe.poll():
            try:
                return self.pipe.recv()
            except EOFError:
                return ("failed", "the check's process died (exit %s)"
                        % self.process.exitcode)
        if time.monotonic() - self.start > self.check.timeout:
            return ("failed", "not done after %d s" % self.check.timeout)
        return None

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.process.join()
        self.pipe.close()


def run_all(checks, jobs, totals, verbose=False, stop_at=None):
    """Runs `checks` (any iterable); at most `stop_at` failures."""
    context = multiprocessing.get_context("fork")
    waiting = iter(checks)
    running = []
    exhausted = False
    try:
        while True:
            while len(running) < jobs and not exhausted:
                check = next(waiting, None)
                if check is None or (stop_at and totals.failed >= stop_at):
                    exhausted = True
                    break
                if check.prepare:
                    check.prepare()
                running.append(Running(check, context))
            if not running:
                return
            done = [(r, r.answer()) for r in running]
            done = [(r, a) for r, a in done if a is not None]
            if not done:
                multiprocessing.connection.wait([r.pipe for r in running], 0.2)
                continue
            for one, answer in done:
                running.remove(one)
                one.end()
                count(one, answer, totals, verbose)
    finally:
        for one in running:
            one.end()


def count(one, answer, totals, verbose):
    state, detail = answer
    name = "%s/%s" % (one.check.suite, one.check.name)
    seconds = time.monotonic() - one.start
    totals.seconds[one.check.name] = seconds
    if state == "passed":
        number, note = 1, detail
        if isinstance(detail, tuple):
            number, note = detail
        totals.passed += number
        if note:
            totals.notes.append(note)
        if verbose:
            print("passed  %s (%.1f s)%s" % (name, seconds, " " + str(note) if note else ""))
    elif state == "not run":
        totals.not_run += 1
        totals.reasons.setdefault(detail, []).append(name)
        if verbose:
            print("not run %s: %s" % (name, detail))
    else:
        totals.failed += 1
        totals.failures.append(name)
        print("FAILED  %s (%.1f s)\n%s" % (
            name, seconds, "\n".join("    " + t for t in detail.splitlines())))
    sys.stdout.flush()

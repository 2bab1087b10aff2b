"""Starts and drives writer processes (harness/writer.py)."""

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))


class WriterFailed(Exception):
    """A call failed in the writer; the text says how."""


class WriterGone(Exception):
    """The writer process has ended."""


class Writer:
    """One process with one SQLite library and any number of named connections."""

    def __init__(self, library="std", python=None):
        self.library = library
        self.process = subprocess.Popen(
            [python or sys.executable, os.path.join(HERE, "writer.py"), library],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, call, *args, **kwargs):
        data = pickle.dumps((call, args, kwargs))
        try:
            self.process.stdin.write(struct.pack("<I", len(data)) + data)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WriterGone("writer ended")

    def receive(self):
        head = self.process.stdout.read(4)
        if len(head) < 4:
            raise WriterGone("writer ended")
        state, answer = pickle.loads(
            self.process.stdout.read(struct.unpack("<I", head)[0]))
        if state == "error":
            raise WriterFailed(answer)
        return answer

    def call(self, call, *args, **kwargs):
        self.send(call, *args, **kwargs)
        return self.receive()

    def open(self, name, path, **kwargs):
        return self.call("open", name, path, **kwargs)

    def close_connection(self, name):
        return self.call("close", name)

    def run(self, name, steps, finish=True):
        return self.call("run", name, steps, finish)

    def sql(self, name, *statements):
        """Runs statements; the first error is raised. Rows of the last one."""
        results = self.run(name, [("x", s) for s in statements], False)
        for statement, result in zip(statements, results):
            if isinstance(result, str):
                raise WriterFailed("%s: %s" % (statement, result))
        return results[-1]

    def kill(self):
        """kill -9, wherever it is."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def kill_after(self, seconds):
        """A timer that kills it; call cancel() on it or let it fire."""
        timer = threading.Timer(seconds, self.process.send_signal, [signal.SIGKILL])
        timer.start()
        return timer

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if not self.process.stdout.closed:
            self.process.stdout.close()


def has_apsw():
    """Why apsw cannot be used, or None where it can."""
    try:
        import apsw  # noqa: F401
    except ImportError:
        return "the Python package apsw is not installed"
    return None

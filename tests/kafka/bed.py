"""The servers of a run of this suite: one broker that most checks share.

Started when the first check is about to begin, stopped when the runner ends. Checks
use topics of their own prefix. Those that stop or configure a broker start their own.
"""

import atexit
import shutil
import tempfile

from harness.box import NotRun

from kafka import librdkafka
from kafka.env import jars
from kafka.env.broker import Broker


class Bed:
    def __init__(self):
        self.folder = None
        self.broker = None
        self.problem = None

    def prepare(self):
        """In the runner's process, before a check."""
        if self.broker or self.problem:
            return
        self.problem = jars.lacking() or librdkafka.lacking()
        if self.problem:
            return
        self.folder = tempfile.mkdtemp(prefix="rowtail-kafka-")
        atexit.register(self.close)
        try:
            self.broker = Broker(self.folder)
            self.broker.start()
        except jars.EnvError as problem:
            self.problem = problem

    def shared(self):
        """The shared broker. Where there is no Java the check is not run; a broker
        that does not start is a failure."""
        if isinstance(self.problem, jars.EnvError):
            raise self.problem
        if self.problem:
            raise NotRun(self.problem)
        return self.broker

    def close(self):
        if self.broker:
            self.broker.kill()      # nobody needs its data
        shutil.rmtree(self.folder, ignore_errors=True)

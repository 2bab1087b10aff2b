"""A PostgreSQL cluster of its own, on 127.0.0.1, whose data may be lost."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile

from .jars import EnvError
from .service import free_port

USER = "postgres"


def bin_folder():
    """Of the newest installed server, or None."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if found:
        return os.path.dirname(max(found, key=lambda p: float(p.split("/")[4])))
    return os.path.dirname(shutil.which("initdb")) if shutil.which("initdb") else None


def lacking():
    if not bin_folder() or not shutil.which("psql"):
        return "no PostgreSQL: make deps-kafka"
    return None


class Postgres:
    """The server refuses to run as root: it then runs as the user postgres, in a
    folder of its own below /tmp that this user can reach."""

    def __init__(self, database="test", settings=()):
        if lacking():
            raise EnvError(lacking())
        self.folder = tempfile.mkdtemp(prefix="rowtail-pg-")
        self.data = os.path.join(self.folder, "data")
        self.port = free_port()
        self.database = database
        self.settings = settings        # "NAME=VALUE"
        self.owner = pwd.getpwnam(USER) if os.getuid() == 0 else None
        if self.owner:
            os.chown(self.folder, self.owner.pw_uid, self.owner.pw_gid)

    def _as_owner(self):
        if self.owner:
            os.setgroups([])
            os.setgid(self.owner.pw_gid)
            os.setuid(self.owner.pw_uid)

    def _run(self, program, *arguments):
        # A file, no pipe: the server keeps it open.
        with open(os.path.join(self.folder, program + ".log"), "w+") as log:
            code = subprocess.call(
                [os.path.join(bin_folder(), program), "-D", self.data, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                preexec_fn=self._as_owner)
            if code != 0:
                log.seek(0)
                raise EnvError("%s failed:\n%s" % (program, log.read()[-2000:]))

    def start(self):
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self._run("initdb", "-U", USER, "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8", "--no-sync")
        self._run("pg_ctl", "-w", "-l", os.path.join(self.folder, "server.log"), "-o",
                  "-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories="
                  " -c fsync=off" % self.port
                  + "".join(" -c " + setting for setting in self.settings), "start")
        if not self.query("SELECT 1 FROM pg_database WHERE datname = '%s'"
                          % self.database, "postgres"):
            self.query("CREATE DATABASE %s" % self.database, "postgres")
        return self

    @property
    def jdbc_url(self):
        return "jdbc:postgresql://127.0.0.1:%d/%s" % (self.port, self.database)

    def query(self, sql, database=None):
        """The rows' first columns, as text."""
        done = subprocess.run(
            ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-c", sql,
             "host=127.0.0.1 port=%d user=%s dbname=%s" % (
                 self.port, USER, database or self.database)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise EnvError("PostgreSQL: %s" % done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8").splitlines()

    def close(self):
        try:
            self._run("pg_ctl", "-m", "immediate", "-w", "stop")
        except EnvError:
            pass                        # it was not running
        shutil.rmtree(self.folder, ignore_errors=True)

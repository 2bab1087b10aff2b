#!/usr/bin/env python3
"""The Java parts: fetched once by Maven, into build/kafka/.

    tests/kafka/env/jars.py      fetches what pom.xml lists and prints the folder
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
POM = os.path.join(HERE, "pom.xml")
BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(HERE))),
                     "build", "kafka")
TRIES = 3


class EnvError(Exception):
    """A part that cannot be had or started; the text is one for people."""


def jar_folder():
    """Where the jars of this pom.xml belong."""
    with open(POM, "rb") as file:
        return os.path.join(BUILD, "jars-" + hashlib.sha256(file.read()).hexdigest()[:12])


def lacking():
    """What has to be installed before a broker can run here, or None."""
    if not shutil.which("java"):
        return "no Java: make deps-kafka"
    if not os.path.isdir(jar_folder()):
        return "the jars of Kafka are not there: make deps-kafka"
    return None


def classpath():
    if lacking():
        raise EnvError(lacking())
    return os.path.join(jar_folder(), "*")


def fetch():
    """Copies the jars; a folder is there whole or not at all."""
    folder = jar_folder()
    if os.path.isdir(folder):
        return folder
    if not shutil.which("mvn"):
        raise EnvError("mvn is not installed: make deps-kafka")
    os.makedirs(BUILD, exist_ok=True)
    unfinished = tempfile.mkdtemp(prefix="unfinished-", dir=BUILD)
    try:
        download(unfinished)
        try:
            os.rename(unfinished, folder)
        except OSError:
            if not os.path.isdir(folder):       # nobody else was faster
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def download(folder):
    command = ["mvn", "-B", "-q", "-f", POM, "dependency:copy-dependencies",
               "-DincludeScope=runtime", "-DoutputDirectory=" + folder]
    for number in range(TRIES):
        # -U: ask again for what was not found; a dropped download is remembered else.
        done = subprocess.run(command + (["-U"] if number else []),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0:
            return
        time.sleep(2)
    raise EnvError("maven could not fetch what %s lists:\n%s" % (
        os.path.relpath(POM), done.stdout.decode("utf-8", "replace")[-3000:]))


if __name__ == "__main__":
    try:
        print(fetch())
    except EnvError as problem:
        sys.exit("jars.py: %s" % problem)

"""Disks that fail: the n-th call of each kind on each file of the state directory, of
`--to file:` and of the archive gets an error, is done by half, is interrupted. What rowtail
then does is one of a few things that a person can make something of, and nothing is lost by
it.
"""

import collections
import os
import re

from faults.kills import GROUPS, Chain, Counts
from harness.box import Failed, expect
from harness.tail import TailFailed

# What may happen to which call. EINTR and SHORT must not be noticed by anybody.
ERRORS = {
    "write": ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EINTR", "SHORT", "HALF"],
    "read": ["EIO", "EINTR", "SHORT"],
    "sync": ["EIO", "ENOSPC", "EINTR"],
    "cut": ["EIO", "EINTR"],
    "grow": ["ENOSPC", "EDQUOT", "EIO", "EINTR"],
    "rename": ["EIO", "ENOSPC", "EROFS"],
    "remove": ["EIO"],
    "open": ["EIO", "EMFILE", "ENFILE", "EACCES", "EROFS"],
    "make": ["ENOSPC", "EDQUOT", "EROFS", "EIO", "EMFILE"],
}
SHORT = ["stdout-first", "stdout-follow", "stdout-resized", "file-follow"]
# With an archive, whose files alone get them.
ARCHIVES = {"archive": (False, ["first", "follow", "away", "stop", "resized"])}
UNNOTICED = {"EINTR", "SHORT"}
# Lines that say what goes on, before the one that says why it ended.
MEANWHILE = re.compile(r"rowtail: (following |the output is slow|the archive .* (takes "
                       r"|lacks )|files (of|that wait for) the archive |.*; trying "
                       r"again)")
KINDS = ["log-", "out-", "meta", "position", "shadow", "hashes", "frames", "lock",
         "error", "state-"]


def kind_of(path, folder):
    """A pattern that has the files of this kind, below the folder: that of every state
    directory, or archive, and of every number in their names."""
    parts = []
    for part in os.path.relpath(path, folder).split("/"):
        known = next((k for k in KINDS if part.startswith(k)), None)
        # What follows a blank is said of a file that is gone from its folder.
        part = part.split()[0] + "*" if " " in part else part
        part = re.sub(r"[0-9a-f]{16}", "*", part)
        parts.append(known + "*" if known else re.sub(r"\d+", "*", part))
    return "/".join(parts)


class Disk(Chain):
    """A chain whose legs meet errors instead of kills."""

    def __init__(self, box, seed, to_file, archives):
        self.archives = archives
        super().__init__(box, seed, to_file)

    def calls(self, kind):
        """(call, kind of file) -> how often, in a leg without errors."""
        path = self.box.path("calls")
        if os.path.exists(path):
            os.unlink(path)
        expect(not self.leg(kind, {"ROWTAIL_CALLS": "%s %s" % (
            self.files_of(kind), path)}), "it was killed")
        with open(path) as source:
            found = [line.rstrip("\n").split(" ", 1) for line in source]
        return collections.Counter((call, kind_of(file, self.box.folder))
                                   for call, file in found)

    def files_of(self, kind):
        """A pattern that has what belongs to this state directory or the next one."""
        return self.box.folder + "/[aos]*-[0-9]*"

    def fail(self, leg, call, file, number, error):
        """One leg with one error, and the run that makes it good."""
        self.failed = None
        env = {"ROWTAIL_FAIL": "%s %s %d %d %s" % (
            call, self.box.folder + "/" + file, number, 2 if error == "HALF" else 1, error)}
        self.leg(leg, env)
        if error in UNNOTICED:
            expect(not self.failed, "%s was noticed: %s", error, self.failed)
        self.check()
        self.verify()
        return self.failed

    def end(self, tail, *codes):
        """With an exit code of 1 or 2, one line that names what it is about."""
        code = tail.wait_exit(20)
        expect(code is not None, "it does not end; stderr:\n%s", tail.error_text())
        if code in (1, 2, 3):
            lines = [t for t in tail.errors
                     if not MEANWHILE.match(t)]
            expect(len(lines) == 1, "not one line: %s", lines)
            names = [os.path.basename(self.directory), os.path.basename(self.out),
                     os.path.basename(self.archive)]
            expect(any(n in lines[0] for n in names), "it names nothing: %s", lines[0])
            self.failed = lines[0]
            codes += (code,)
        return super().end(tail, *codes)

    def arguments(self, *more):
        return super().arguments("--quiet", *more)


def is_of_archive(file):
    return "archive" in file


def plan(chain, kinds, most):
    """(leg, call, file, number, error), in a random order: the first `most` calls of each
    kind on each kind of file, and one later, in each kind of leg."""
    trials = []
    for leg in kinds:
        for (call, file), count in sorted(chain.calls(leg).items()):
            if chain.archives and not is_of_archive(file):
                continue
            numbers = set(range(1, min(count, most) + 1))
            numbers |= {chain.random.randint(1, count)} if most > 1 else set()
            for error in ERRORS[call]:
                trials += [(leg, call, file, n, error) for n in sorted(numbers)]
    chain.random.shuffle(trials)
    if most > 1:
        return trials
    once = {}                           # one of each, in one kind of leg
    for trial in trials:
        once.setdefault(trial[1:3], trial)
    return list(once.values())


def run_errors(box, group, seed, more):
    to_file, kinds = ARCHIVES.get(group) or GROUPS[group]
    chain = Disk(box, seed, to_file, group in ARCHIVES)
    ended = 0
    trials = plan(chain, kinds, 1 + 2 * more)
    for trial in trials:
        try:
            ended += chain.fail(*trial) is not None
        except (Failed, TailFailed) as problem:
            raise Failed("group %s, seed %d, %s: %s" % (group, seed, trial, problem))
    chain.count()
    return 1, Counts({"errors of the disk": len(trials), "that ended a run": ended,
                      "transactions checked": chain.transactions})

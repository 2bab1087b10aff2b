"""The checks of the suite "chaos": some short storms, or, with a duration, new ones for so
long.

    tests/run.py chaos --duration 3600             an hour of new seeds
    tests/run.py chaos --seed 7 --duration 60      the one storm of seed 7, again

The same seed does the same things, at about the same times; what the threads make of it
may differ, so that a seed that failed is to be tried some times. Where there is the
program of the suite "faults", some storms are run with that, each place in its sources
where something has just become lasting made wider by sleeps.
"""

import collections
import os
import random
import tempfile
import time

from harness import box
from harness.pool import Check

STORM_SECONDS = 60                  # of those of a duration
SHORT_SECONDS = 8
SHORT_STORMS = 4
QUICK_DISK = "/dev/shm"             # where a sync costs nothing


class Counts(collections.Counter):
    """What the storms were: added up by the runner."""

    def __add__(self, other):
        return Counts(super().__add__(other))

    def __str__(self):
        return ", ".join("%d %s" % (n, what) for what, n in self.items())


NAMES = ("storms", "transactions", "merged", "by catch-up", "events", "again", "runs",
         "killed")


def kind_of(seed):
    """The name of a storm's kind, what it may do, and whether it needs the program with
    fault points."""
    from chaos.storm import Limits
    from faults.kills import names
    few = [256 << 10]
    all_kinds = [
        ("wide-file", Limits(sleep="all:1000", to_file=True), True),
        ("wide-listing", Limits(sleep="capture-synced:5000", journal=few, kills=False,
                                hold=[None]), True),
        ("stdout", Limits(), False),
        ("wide", Limits(sleep="all:1000"), True),
        ("file", Limits(to_file=True), False),
        ("backlog", Limits(journal=few, restores=False, ddl=False, hold=[None]), False),
        ("no-restores", Limits(restores=False), False),
        ("wide-one", Limits(sleep="%s:3000" % random.Random(seed).choice(sorted(names()))),
         True),
    ]
    return all_kinds[seed % len(all_kinds)]


def storm_check(options, settings, seed, seconds):
    name, limits, is_wide = kind_of(seed)
    program = os.path.realpath(settings.rowtail) + "-faults" * is_wide
    mine = box.Options(program, settings.wrapper, settings.slow)

    def run():
        from chaos.storm import run_storm
        if not os.access(mine.rowtail, os.X_OK):
            raise box.NotRun("%s is not built" % os.path.basename(program))
        if name == "wide-listing" and os.access(QUICK_DISK, os.W_OK):
            tempfile.tempdir = QUICK_DISK   # else the sync is longer than the window
        place = box.Box(mine, "chaos-%d" % seed)
        again = "tests/run.py chaos --rowtail %s --seed %d --duration %d" % (
            os.path.relpath(options.rowtail), seed, seconds)
        try:
            counts, left_out = run_storm(place, seed, seconds, limits, again)
        finally:
            place.close()
        noted = Counts(dict(zip(NAMES, counts)))
        for kind, reason in left_out.items():
            noted["without a writer in %s (%s)" % (kind, reason)] += 1
        return 1, noted
    return Check("chaos", "%s-seed-%d" % (name, seed), run,
                 (seconds + 300) * settings.slow)


def chaos_checks(options, settings):
    if options.duration is None:
        first = options.seed if options.seed is not None else 1
        for seed in range(first, first + (options.seeds or SHORT_STORMS)):
            yield storm_check(options, settings, seed, SHORT_SECONDS)
    elif options.seed is not None:
        yield storm_check(options, settings, options.seed, options.duration)
    else:
        seed, end = int(time.time()), time.time() + options.duration
        while time.time() < end:
            yield storm_check(options, settings, seed, STORM_SECONDS)
            seed += 1

"""The checks of the suite "state": what a state directory is for.

Scenarios are the functions test_* of this folder's files. resume/seed-N are rounds of
random work, stops, kills and starts (resume_oracle.py).
"""

import os

from harness import box
from harness.pool import Check

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def resume_checks(options, settings):
    """One check for each seed."""
    first = options.seed if options.seed is not None else 1
    per_seed = options.rounds_per_seed
    seeds = options.seeds
    if seeds is None:
        seeds = 1
        if options.seed is None:
            seeds = max(1, -(-options.rounds // per_seed))
    for seed in range(first, first + seeds):
        yield Check("state", "resume/seed-%d" % seed, seed_run(seed, options, settings),
                    20 * per_seed * settings.slow)


def seed_run(seed, options, settings):
    def run():
        if not os.access(settings.rowtail, os.X_OK):
            raise box.NotRun("%s is not built" % settings.rowtail)
        from state import resume_oracle
        folder = os.path.join(ROOT, "build", "resume", "seed-%d" % seed)
        try:
            return resume_oracle.run_seed(seed, options, settings, folder)
        except resume_oracle.SeedFailed as problem:
            again = "tests/run.py state --only resume/ --rowtail %s --seed %d" \
                " --rounds-per-seed %d" % (os.path.relpath(options.rowtail), seed,
                                           options.rounds_per_seed)
            raise box.Failed("%s\nfiles: %s\nagain: %s" % (
                problem, os.path.relpath(folder), again))
    return run

#!/usr/bin/env python3
"""Runs the test suites and prints the counts.

    tests/run.py SUITE... [options]

    suites: unit cases cli harm state faults programs archive audit oracle chaos
            kafka

What cannot run here is counted as "not run" and says why; it never passes. The exit
code is 0 when nothing failed and something passed.
"""

import argparse
import functools
import glob
import importlib.util
import operator
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
VENV = os.path.join(ROOT, "build", "venv", "bin", "python")
SUITES = ["unit", "cases", "cli", "harm", "state", "faults", "programs", "archive",
          "audit", "oracle", "chaos", "kafka"]


# Unit tests that valgrind is not for: the process in which columns are computed does not
# start, and limits of descriptors and the exit codes of children are not the program's.
APART = {
    "test_child_output": "what they would start again is valgrind there",
    "test_computed": "a second process of theirs does not start under valgrind",
    "test_row": "a second process of theirs does not start under valgrind",
    "test_archiver": "limits and children of theirs are valgrind's own",
    "test_db_join": "limits and children of theirs are valgrind's own",
    "test_db_users": "limits and children of theirs are valgrind's own",
    "test_capture": "sanitizers run them, here they take minutes",
    "test_journal_users": "sanitizers run them, here they take minutes",
    "test_property_table": "sanitizers run them, here they take minutes",
    "test_sql_text": "SQLite reads reals with 80 bits, valgrind has 64",
}


# And those that the sanitizer of threads is not for.
UNSEEN = {
    "test_kafka_signals": "librdkafka starts threads that this sanitizer does not see",
}


def use_venv():
    """Goes on in build/venv where that exists: it has what the suites use."""
    if (os.path.exists(VENV) and sys.prefix == sys.base_prefix
            and not os.environ.get("ROWTAIL_TESTS_PYTHON")):
        os.environ["ROWTAIL_TESTS_PYTHON"] = "venv"
        os.execv(VENV, [VENV] + sys.argv)


if __name__ == "__main__":
    use_venv()

sys.path.insert(0, HERE)

from harness import box, pool  # noqa: E402
from harness.pool import Check  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", choices=SUITES, metavar="SUITE")
    parser.add_argument("--rowtail", default=os.path.join(ROOT, "build", "rowtail"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--wrapper", default="", help="e.g. 'valgrind --quiet'")
    parser.add_argument("--slow", type=float, default=None,
                        help="stretches all time limits (default: by the build's kind)")
    parser.add_argument("--only", default="", metavar="REGEX",
                        help="of all checks those whose name has this")
    parser.add_argument("--verbose", "-v", action="store_true")
    parser.add_argument("--stop-at", type=int, default=None, metavar="N",
                        help="end after N failures")
    resume = parser.add_argument_group("state (with --seed and --seeds too)")
    resume.add_argument("--rounds", type=int, default=150,
                        help="stops and starts, in all seeds together")
    resume.add_argument("--rounds-per-seed", type=int, default=25)
    faults = parser.add_argument_group("faults (with --seed too)")
    faults.add_argument("--faults", type=int, default=1, metavar="N",
                        help="how much: 1 is a minute, N is N times that")
    oracle = parser.add_argument_group("oracle")
    oracle.add_argument("--transactions", type=int, default=10000,
                        help="in all seeds together")
    oracle.add_argument("--seed", type=int, default=None, help="the first seed")
    oracle.add_argument("--seeds", type=int, default=None, help="how many seeds")
    oracle.add_argument("--per-seed", type=int, default=200,
                        help="transactions of one seed")
    oracle.add_argument("--duration", type=float, default=None, metavar="SECONDS",
                        help="go on with new seeds so long")
    oracle.add_argument("--keep", action="store_true", help="keep the databases")
    oracle.add_argument("--fake", action="store_true",
                        help="the program is tests/oracle/fake_rowtail.py")
    return parser.parse_args()


def kind_of_build(options):
    return os.path.basename(os.path.dirname(os.path.realpath(options.rowtail)))


def slowness(options):
    if options.slow:
        return options.slow
    kind = kind_of_build(options)
    factor = {"asan": 3.0, "tsan": 6.0, "cover": 2.0, "debug": 2.0}.get(kind, 1.0)
    return factor * (25.0 if "valgrind" in options.wrapper else 1.0)


# -- suites ---------------------------------------------------------------------------


def unit_checks(options, settings):
    folder = os.path.join(os.path.dirname(os.path.realpath(options.rowtail)), "tests")
    programs = sorted(p for p in glob.glob(os.path.join(folder, "test_*"))
                      if os.access(p, os.X_OK))
    if not programs:
        yield Check("unit", "all", not_run("no unit tests in %s: make unit-build"
                                           % os.path.relpath(folder)))
    for program in programs:
        name = os.path.basename(program)
        run = unit_run(program, options)
        if "valgrind" in options.wrapper and name in APART:
            run = not_run(APART[name])
        elif kind_of_build(options) == "tsan" and name in UNSEEN:
            run = not_run(UNSEEN[name])
        elif kind_of_build(options) == "tsan" and not has_threads(program):
            run = not_run("without threads there is nothing for this sanitizer")
        yield Check("unit", name, run, 300 * settings.slow)


def has_threads(program):
    """Can it start one? What does not link that cannot."""
    with open(program, "rb") as file:
        return b"pthread_create" in file.read()


def not_run(reason):
    def run():
        raise box.NotRun(reason)
    return run


def unit_run(program, options):
    def run():
        command = options.wrapper.split() + [program]
        env = dict(os.environ, ROWTAIL_TEST_WRAPPED="1") if options.wrapper else None
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=env)
        text = done.stdout.decode("utf-8", "replace")
        passed = re.findall(r"\[  PASSED  \] (\d+) test", text)
        if done.returncode != 0 or not passed:
            first = re.findall(r"^.*(?:  ERROR   |   LINE   |  FAILED  ).*$", text, re.M)
            raise box.Failed("exit %d\n%s\n%s" % (
                done.returncode, "\n".join(first[:20]), text[-4000:]))
        skipped = re.findall(r"\[  SKIPPED \] (\d+) test", text)
        note = "%s: %s skipped" % (os.path.basename(program), skipped[0]
                                   ) if skipped else None
        return sum(int(p) for p in passed), note
    return run


def case_checks(options, settings):
    from cases.run import (case_names, run_case, run_with_schemas, takes_schemas,
                           variants)
    for name in case_names():
        if takes_schemas(name) and not options.fake:
            yield Check("cases", "%s[schemas]" % name,
                        bound(run_with_schemas, name, settings), 60 * settings.slow)
        for variant in variants(name):
            yield Check("cases", "%s[%s]" % (name, variant),
                        bound(run_case, name, variant, settings), 60 * settings.slow)


def bound(function, *args):
    return lambda: function(*args)


def file_checks(suite, settings, prepare=None):
    """Functions test_* of the Python files in a folder; each gets a Box."""
    for path in sorted(glob.glob(os.path.join(HERE, suite, "*.py"))):
        stem = os.path.splitext(os.path.basename(path))[0]
        spec = importlib.util.spec_from_file_location("%s_%s" % (suite, stem), path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name in sorted(n for n in dir(module) if n.startswith("test_")):
            function = getattr(module, name)
            limit = getattr(function, "timeout", 60)
            yield Check(suite, "%s/%s" % (stem, name[5:].replace("_", "-")),
                        in_box(function, settings, name), limit * settings.slow,
                        prepare)


def in_box(function, settings, name):
    def run():
        if not os.access(settings.rowtail, os.X_OK):
            raise box.NotRun("%s is not built" % settings.rowtail)
        place = box.Box(settings, name[5:])
        try:
            return function(place)
        finally:
            place.close()
    return run


def oracle_checks(options, settings):
    from oracle import oracle
    first = options.seed if options.seed is not None else 1
    if options.seed is None and (options.duration or options.transactions > 100000):
        first = int(time.time())
    deadline = time.time() + options.duration if options.duration else None
    per_seed = options.per_seed
    seeds = options.seeds
    if seeds is None:
        seeds = 1 if options.seed is not None and not deadline else max(
            1, -(-options.transactions // per_seed))
    number = 0
    while (time.time() < deadline) if deadline else (number < seeds):
        seed = first + number
        number += 1
        run_options = oracle.Options(
            settings.rowtail, per_seed, options.wrapper, settings.slow,
            keep=options.keep, fake=options.fake)
        yield Check("oracle", "seed-%d" % seed,
                    seed_run(oracle, seed, run_options, options), 600 * settings.slow)


def seed_run(oracle, seed, run_options, options):
    def run():
        if not os.access(run_options.rowtail, os.X_OK):
            raise box.NotRun("%s is not built" % run_options.rowtail)
        folder = os.path.join(ROOT, "build", "oracle", "seed-%d" % seed)
        try:
            commits, events, seconds = oracle.run_seed(seed, run_options, folder)
        except oracle.SeedFailed as problem:
            again = "tests/run.py oracle --rowtail %s --seed %d --per-seed %d%s" % (
                os.path.relpath(options.rowtail), seed, run_options.transactions,
                " --wrapper '%s'" % options.wrapper if options.wrapper else "")
            raise box.Failed("%s\nfiles: %s\nagain: %s" % (
                problem, os.path.relpath(folder), again))
        return 1, (commits, events)
    return run


def state_checks(options, settings):
    from state.run import resume_checks
    yield from file_checks("state", settings)
    yield from resume_checks(options, settings)


def kafka_checks(options, settings):
    """With real servers, where they are installed."""
    from kafka.bed import Bed
    settings.bed = Bed()
    return file_checks("kafka", settings, settings.bed.prepare)


def suite_checks(suite, options, settings):
    if suite == "unit":
        return unit_checks(options, settings)
    if suite == "cases":
        return case_checks(options, settings)
    if suite == "oracle":
        return oracle_checks(options, settings)
    if suite == "state":
        return state_checks(options, settings)
    if suite == "kafka":
        return kafka_checks(options, settings)
    if suite == "faults":
        from faults.run import fault_checks
        return fault_checks(options, settings)
    if suite == "chaos":
        from chaos.run import chaos_checks
        return chaos_checks(options, settings)
    return file_checks(suite, settings)


def added_up(notes):
    """Notes that are no texts become one of each kind."""
    texts = [n for n in notes if isinstance(n, str)]
    kinds = {}
    for note in notes:
        if not isinstance(note, str):
            kinds.setdefault(type(note), []).append(note)
    return texts + [functools.reduce(operator.add, sums) for sums in kinds.values()]


def main():
    options = parse_arguments()
    settings = box.Options(options.rowtail, options.wrapper, slowness(options),
                           options.fake)
    wanted = re.compile(options.only)
    sums = pool.Totals()
    for suite in options.suites:
        totals = pool.Totals()
        start = time.monotonic()
        checks = (c for c in suite_checks(suite, options, settings)
                  if wanted.search("%s/%s" % (c.suite, c.name)))
        pool.run_all(checks, options.jobs, totals, options.verbose, options.stop_at)
        line = "%s: %s (%.0f s)" % (suite, totals.line(), time.monotonic() - start)
        if suite == "oracle" and totals.notes:
            line += "; %d transactions, %d events" % (
                sum(n[0] for n in totals.notes), sum(n[1] for n in totals.notes))
        elif suite != "oracle":
            for note in added_up(totals.notes):
                print("        %s" % note)
        print(line)
        slowest = sorted(totals.seconds.items(), key=lambda s: -s[1])[:5]
        print("        longest: %s" % ", ".join("%s %.0f s" % s for s in slowest))
        for reason, names in totals.reasons.items():
            print("        not run: %s (%d: %s%s)" % (
                reason, len(names), ", ".join(names[:3]),
                ", …" if len(names) > 3 else ""))
        sys.stdout.flush()
        sums.passed += totals.passed
        sums.failed += totals.failed
        sums.not_run += totals.not_run
        sums.failures += totals.failures
    if sums.failures:
        print("failed: " + ", ".join(sums.failures))
    print(sums.line())
    return 1 if sums.failed or not sums.passed else 0


if __name__ == "__main__":
    sys.exit(main())

"""The checks of the suite "faults": what is left when the program is killed, the disk
fails or the power goes. `more` is how much of it: 1 is for every change, larger numbers
take that much longer.
"""

import os

from harness import box
from harness.pool import Check


def fault_checks(options, settings):
    from faults import cuts, disk, full, kills, upkeep
    program = settings.rowtail + "-faults"
    settings = box.Options(program, settings.wrapper, settings.slow)
    seed = options.seed if options.seed is not None else 1

    def check(name, run, seconds=300):
        def in_box():
            if not os.access(program, os.X_OK):
                raise box.NotRun("%s is not built" % os.path.basename(program))
            place = box.Box(settings, name.replace("/", "-"))
            try:
                return run(place)
            finally:
                place.close()
        return Check("faults", name, in_box, seconds * settings.slow)

    more = options.faults - 1
    yield check("kills/every-place-is-come-to", kills.check_places)
    for group in kills.GROUPS:
        yield check("kills/" + group, lambda place, group=group: kills.run_chain(
            place, group, seed, more), 300 * options.faults)
    yield check("archive/every-place-is-come-to", upkeep.check_places)
    for way in upkeep.WAYS:
        yield check("archive/" + way, lambda place, way=way: upkeep.run_way(place, way))
    for group in [*(kills.GROUPS if more else disk.SHORT), *disk.ARCHIVES]:
        yield check("disk/" + group, lambda place, group=group: disk.run_errors(
            place, group, seed, more), 300 * options.faults)
    for way in full.WAYS if more else full.SHORT:
        yield check("full/" + way, lambda place, way=way: full.run_full(
            place, way, seed), 120)
    for name, (to_file, more_env) in cuts.RUNS.items() if more else []:
        yield check("power/" + name, lambda place, to_file=to_file, env=more_env:
                    cuts.run_cuts(place, to_file, seed, 25 * options.faults, env),
                    300 * options.faults)

# SPDX-License-Identifier: Apache-2.0
"""What other programs of the machine use while something is measured."""

import os
import pathlib
import resource
import time

LIMIT = 0.15  # cores; the kernel's own work for us is in it, too
TRIES = 12
PAUSE_S = 3


def busy_s():
    """CPU of all programs and of the kernel since the machine started."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def own_s():
    """Of this program and of those it started that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in
               map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def measure(make, say, tries=TRIES):
    """What `make` returns, made again while others disturb it; (run, is disturbed)."""
    for number in range(tries):
        before = time.monotonic(), busy_s() - own_s()
        run = make()
        used = (busy_s() - own_s() - before[1]) / (time.monotonic() - before[0])
        if used <= LIMIT:
            return run, False
        if number < tries - 1:
            say(f"others used {used:.2f} cores: again")
            time.sleep(PAUSE_S)
    return run, True

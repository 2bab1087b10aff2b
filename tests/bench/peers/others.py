# SPDX-License-Identifier: Apache-2.0
"""What other programs of the machine use while something is measured."""

import os
import pathlib
import resource
import time

KTHREADD = "2"  # the parent of the kernel's threads


def busy_s():
    """CPU of all programs and of the kernel since the machine started."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def kernel_s():
    """Of the kernel's threads, which also work for what is measured."""
    ticks = 0
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue  # has ended
        if fields[1] == KTHREADD:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def own_s():
    """Of this program and of those it started that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in
               map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def measured(make):
    """The dict that `make` returns, with `others`: cores that other programs used."""
    before = time.monotonic(), busy_s() - kernel_s() - own_s()
    run = make()
    used = busy_s() - kernel_s() - own_s() - before[1]
    run["others"] = used / (time.monotonic() - before[0])
    return run


def least_disturbed(runs):
    """More than half of the runs: those in which others used least."""
    return sorted(runs, key=lambda run: run["others"])[:len(runs) // 2 + 1]

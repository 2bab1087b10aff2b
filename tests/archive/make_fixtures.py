#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has Litestream write the small archives of tests/archive/fixtures.

    tests/archive/make_fixtures.py LITESTREAM NAME

Writes tests/archive/fixtures/NAME: the archive, and states.json with the time of each
file and the SHA-256 of each state that Litestream itself restores. Made with the
releases 0.5.18 (pages are LZ4 blocks) and 0.5.13 (LZ4 frames).
"""

import hashlib
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from harness import box as boxes, litestream as litestreams  # noqa: E402

WORK = [
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<60)"
    " INSERT INTO t SELECT i, 'row ' || i || ' of many rows like this' FROM n",
    "UPDATE t SET v = 'changed' WHERE id = 30",
    "DELETE FROM t WHERE id > 9",
    "VACUUM",
    "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i+1 FROM n WHERE i<170)"
    " INSERT INTO t SELECT i, 'again ' || i || ' of many rows like this' FROM n",
]


def has_levels(archive):
    return all(os.path.isdir(os.path.join(archive, "ltx", level))
               and os.listdir(os.path.join(archive, "ltx", level)) for level in "19")


def main():
    program, name = sys.argv[1:]
    os.environ["LITESTREAM"] = os.path.abspath(program)
    box = boxes.Box(boxes.Options("rowtail"))
    writer, path = box.database("PRAGMA page_size=512")
    archive = box.path("archive")
    one = litestreams.Litestream(box, path, archive, first="1s", snapshot="2s")
    for statement in WORK:
        writer.sql("c", statement)
        one.sync()
    box.wait_until(lambda: has_levels(archive), 60, "there is no snapshot")
    one.stop()
    target = os.path.join(HERE, "fixtures", name)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(archive, os.path.join(target, "archive"))
    states = {"times": {}, "states": {}}
    for folder, _, files in sorted(os.walk(archive)):
        for file in sorted(files):
            whole = os.path.join(folder, file)
            states["times"][os.path.relpath(whole, archive)] = os.stat(whole).st_mtime_ns
            txid, out = file[17:33], box.path("out.db")
            if one.restore(out, "-txid", txid):
                with open(out, "rb") as restored:
                    states["states"][txid] = hashlib.sha256(restored.read()).hexdigest()
                os.remove(out)
    with open(os.path.join(target, "states.json"), "w", encoding="utf-8") as file:
        json.dump(states, file, indent=1, sort_keys=True)
        file.write("\n")
    box.close()


if __name__ == "__main__":
    main()

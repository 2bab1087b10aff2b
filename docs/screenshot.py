#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/metrics.png: a shop writes, rowtail follows, a real Prometheus asks, and a
real browser looks at what it draws: docs/screenshot.py [ROWTAIL]

It takes three minutes, and Debian's packages prometheus and chromium.
"""

import json
import math
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
METRICS, SERVER = "127.0.0.1:19187", "127.0.0.1:19090"
GRAPHS = [("sum by (table) (rate(rowtail_events_total[20s]))", 1),
          ("histogram_quantile(0.99, sum by (le) "
           "(rate(rowtail_delivery_lag_seconds_bucket[30s])))", 0)]
SECONDS = 170


def write(path):
    db = sqlite3.connect(path, isolation_level=None)
    began, order = time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        # Busier and quieter, as a shop is.
        for _ in range(int(6 + 5 * (1 + math.sin((time.monotonic() - began) / 12)))):
            order += 1
            db.execute("BEGIN")
            db.execute("INSERT INTO orders VALUES (?, 1, 'new')", (order,))
            for line in range(random.randrange(1, 4)):
                db.execute("INSERT INTO lines(a, b) VALUES (?, ?)", (order, line))
            if order < 60:
                db.execute("INSERT INTO customers VALUES (?, 0, 'name')", (order,))
            elif order % 3 == 0:
                db.execute("UPDATE customers SET a = a + 1 WHERE id = ?",
                           (random.randrange(50) + 1,))
            db.execute("COMMIT")
        time.sleep(0.2)
    db.close()


def address():
    fields = []
    for i, (expression, stacked) in enumerate(GRAPHS):
        fields += [(f"g{i}.expr", expression), (f"g{i}.tab", 0), (f"g{i}.stacked", stacked),
                   (f"g{i}.range_input", "2m")]
    return f"http://{SERVER}/graph?" + urllib.parse.urlencode(fields)


def main():
    rowtail = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build" / "rowtail")
    for program in ("prometheus", "chromium"):
        if not shutil.which(program):
            sys.exit(f"docs: {program} is not here: install Debian's package of that name")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        path = folder / "shop.db"
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        for table in ("orders", "lines", "customers"):
            db.execute(f"CREATE TABLE {table}(id INTEGER PRIMARY KEY, a, b)")
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "2s"},
            "scrape_configs": [{"job_name": "rowtail",
                                "static_configs": [{"targets": [METRICS]}]}]}))
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL) for command in (
            [rowtail, path, "--to", f"file:{folder}/events", "-D",
             "metrics.listen=" + METRICS],
            ["prometheus", f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/tsdb", "--web.listen-address=" + SERVER])]
        try:
            write(path)
            subprocess.run(
                ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
                 "--hide-scrollbars", "--window-size=1100,1500",
                 "--virtual-time-budget=8000",
                 f"--screenshot={ROOT}/docs/metrics.png", address()],
                check=True, stderr=subprocess.DEVNULL)
        finally:
            for process in running:
                process.terminate()
                process.wait()
        db.close()


if __name__ == "__main__":
    main()

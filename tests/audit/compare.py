"""The table of docs/context.md that compares rowtail with libraries is still what comes of
it (tests/tools/audit_compare.py, make deps-compare)."""

import os
import subprocess
import sys

from harness.box import NotRun, TESTS, expect


def test_the_table_of_the_documents_is_what_comes_of_it(box):
    box.need("it starts rowtail itself" if box.options.wrapper else "")
    done = subprocess.run(
        [sys.executable, os.path.join(TESTS, "tools", "audit_compare.py"),
         box.options.rowtail], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 2:
        raise NotRun(done.stderr.decode().strip())
    expect(done.returncode == 0, "exit %d\n%s", done.returncode, done.stderr.decode())
    with open(os.path.join(TESTS, "..", "docs", "context.md"), encoding="utf-8") as file:
        expect(done.stdout.decode() in file.read(), "other rows than in docs/context.md:\n%s",
               done.stdout.decode())


test_the_table_of_the_documents_is_what_comes_of_it.timeout = 120

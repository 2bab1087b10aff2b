#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/options.md and docs/rowtail.1 say of the properties, from their table.

    property_docs.py HELPER check    do the documents say what the table says?
    property_docs.py HELPER write    make them say it

HELPER is tests/helpers/property_docs.c, built. What is between the two marks of each
document is its.
"""

import pathlib
import subprocess
import sys

BEGIN = "PROPERTIES: begin. From src/config/property_table.c: make docs"
END = "PROPERTIES: end."
DOCUMENTS = [("docs/options.md", "markdown", "<!-- %s -->\n"),
             ("docs/rowtail.1", "man", '.\\" %s\n')]


def made(helper, what):
    return subprocess.run([helper, what], check=True, stdout=subprocess.PIPE,
                          encoding="utf-8").stdout


def renew(path, part, mark):
    """The document with the part in its place."""
    text = path.read_text(encoding="utf-8")
    begin, end = mark % BEGIN, mark % END
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit("docs: %s has not one part between %r and %r"
                         % (path, begin, end))
    before, rest = text.split(begin)
    _, after = rest.split(end)
    blank = "\n" if path.suffix == ".md" else ""
    return text, before + begin + blank + part + blank + end + after


def main():
    helper, action = sys.argv[1], sys.argv[2]
    root = pathlib.Path(__file__).resolve().parents[2]
    stale = []
    for name, what, mark in DOCUMENTS:
        old, new = renew(root / name, made(helper, what), mark)
        if old != new and action == "write":
            (root / name).write_text(new, encoding="utf-8")
        elif old != new:
            stale.append(name)
    if stale:
        raise SystemExit("docs: %s: not as src/config/property_table.c has it; make docs"
                         % ", ".join(stale))
    print("docs: %d documents" % len(DOCUMENTS))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that files and functions stay small enough to be read.

    a file              at most 800 lines
    a function          at most 60 lines, its braces included

Tables and texts are no functions. Prints one line for each violation and exits 1 if
there is one, or if it found nothing to check.
"""

import pathlib
import sys

FILE_LINES = 800
FUNCTION_LINES = 60

FOLDERS = ["src", "src/*", "btree", "schemas", "sinks"]


def functions(lines):
    """(first line, lines) of each function, from brace to brace; these begin a line, as
    its head does."""
    head = None  # of what may become a function
    begin = 0
    inside = False
    for number, line in enumerate(lines, 1):
        if inside:
            if line.startswith("}"):
                yield head, number - begin + 1
                head, inside = None, False
        elif line.startswith("{"):
            inside = head is not None
            begin = number
        elif not line.strip() or line[0] in "#/ *}" or line.endswith(";"):
            head = None
        elif not line[0].isspace() and head is None:
            head = number


def check(root, path):
    lines = (root / path).read_text(encoding="utf-8").splitlines()
    if len(lines) > FILE_LINES:
        yield f"{path}: {len(lines)} lines, {FILE_LINES} at most: split it"
    for head, length in functions(lines):
        if length > FUNCTION_LINES:
            yield f"{path}:{head}: a function of {length} lines, " \
                  f"{FUNCTION_LINES} at most"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    files = sorted(
        str(file.relative_to(root))
        for folder in FOLDERS
        for file in root.glob(folder + "/*.[ch]")
    )
    found = 0
    violations = [line for path in files for line in check(root, path)]
    for path in files:
        text = (root / path).read_text(encoding="utf-8").splitlines()
        found += sum(1 for _ in functions(text))
    for line in violations:
        print(line)
    if not found:
        print("sizes: no functions found")
        return 1
    print(f"sizes: {len(files)} files, {found} functions, "
          f"{len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

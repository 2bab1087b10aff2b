#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/options.md and the man pages say of properties, options and commands, from
their tables.

    manual.py HELPER check    do the documents say what the tables say?
    manual.py HELPER write    make them say it
    manual.py HELPER check lint   and have mandoc and groff judge the man pages

HELPER is tests/helpers/manual.c, built. What is between the two marks of a part is its:
"SYNOPSIS of status verify: begin. From src/option_help.c: make docs", "SYNOPSIS: end."
A page has the commands that its marks name; rowtail.1 has those that no other page has.
Pages are also looked at for the sections that each has to have; mandoc and groff judge
them where they are installed.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ("PROPERTIES", "OPTIONS", "SYNOPSIS", "COMMANDS")
MARKS = {".md": "<!-- %s -->\n", ".1": '.\\" %s\n'}
SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FILES", "EXIT STATUS",
            "EXAMPLES", "SEE ALSO")


def made(helper, *what):
    return subprocess.run([helper, *what], check=True, stdout=subprocess.PIPE,
                          encoding="utf-8").stdout


def pages():
    return sorted((ROOT / "docs").glob("*.1"))


def commands_of(page):
    """Those whose synopsis it has."""
    found = re.search(r'^\.\\" SYNOPSIS of ([a-z ]+): begin', page.read_text("utf-8"), re.M)
    return found.group(1).split() if found else []


def part_of(helper, path, part, names):
    """The text of a part; `names` are those that its mark has."""
    if path.suffix == ".md":
        return "\n" + made(helper, part.lower() + "-markdown") + "\n"
    if part == "PROPERTIES":
        return made(helper, "properties")
    if names:
        return made(helper, part.lower(), *names)
    forms = [line.split("\t") for line in made(helper, "table").splitlines()]
    page_of = {name: page.stem for page in pages() for name in commands_of(page)}
    here = [name for name in dict.fromkeys(f[1].split()[0] for f in forms if f[0] == "form")
            if name not in page_of]
    if part == "SYNOPSIS":
        return made(helper, "synopsis", "run", *here) + made(helper, "brief")
    if part == "OPTIONS":
        return made(helper, "options", "run", *here)
    return made(helper, "commands", *("%s=%s" % item for item in page_of.items()))


def renew(helper, path):
    """The document with its parts in their places; how many they are."""
    text = old = path.read_text(encoding="utf-8")
    mark = MARKS[path.suffix]
    count = 0
    for part in PARTS:
        begin = re.compile(re.escape(mark % "PART").replace(
            "PART", part + r"(?: of ([a-z ]+))?: begin\. From src/[\w/.]+: make docs"))
        found = begin.findall(text)
        ends = text.count(mark % (part + ": end."))
        if len(found) != ends or len(found) > 1:
            raise SystemExit("docs: %s: of %s there is a beginning or an end alone, or two"
                             % (path.name, part))
        if not found:
            continue
        count += 1
        match = begin.search(text)
        end = text.index(mark % (part + ": end."))
        text = (text[:match.end()]
                + part_of(helper, path, part, (match.group(1) or "").split()) + text[end:])
    return old, text, count


def check_sections(page):
    sections = re.findall(r'^\.Sh "?([A-Z ]+?)"?$', page.read_text("utf-8"), re.M)
    return ["%s has no section %s" % (page.name, name)
            for name in SECTIONS if name not in sections]


def check_commands(helper):
    """Each of them has its forms, and is in one page at most."""
    bad = []
    for line in made(helper, "table").splitlines():
        kind, name, form = line.split("\t")[:3]
        if kind == "form" and not form:
            bad.append("src/commands/%s.c: its struct command has no forms" % name)
        elif kind == "form":
            on = [p.name for p in pages() if name.split()[0] in commands_of(p)]
            if len(on) > 1:
                bad.append("%s is in %s" % (name, " and ".join(on)))
    return bad


def lint(page):
    """What mandoc and groff have to say of it."""
    said = []
    for tool, words in (("mandoc", ["-T", "lint", "-W", "warning"]),
                        ("groff", ["-mandoc", "-K", "utf8", "-T", "utf8", "-ww", "-z"])):
        if shutil.which(tool):
            done = subprocess.run([tool, *words, str(page)], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, encoding="utf-8",
                                  env={**os.environ, "LC_ALL": "C.UTF-8"})
            said += done.stdout.splitlines()
    return said


def main():
    helper, action = sys.argv[1], sys.argv[2]
    stale, bad, parts = [], check_commands(helper), 0
    documents = [ROOT / "docs/options.md", *pages()]
    for path in documents:
        old, new, count = renew(helper, path)
        parts += count
        if old != new and action == "write":
            path.write_text(new, encoding="utf-8")
        elif old != new:
            stale.append(path.name)
    if stale:
        bad.append("%s: not as the tables in src/ have it; make docs" % ", ".join(stale))
    for page in pages():
        bad += check_sections(page) + (lint(page) if "lint" in sys.argv else [])
    for line in bad:
        print("docs: " + line)
    print("docs: %d parts of %d documents" % (parts, len(documents)))
    return 1 if bad or parts < 5 else 0


sys.exit(main())

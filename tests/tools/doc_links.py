#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does every link of the documents lead somewhere, to a file and a heading that are there?"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def headings(path):
    """As they are linked to."""
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-")
            for h in re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)}


def main():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    count = bad = 0
    for page in pages:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)",
                                         page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            path = (page.parent / target).resolve() if target else page
            if not path.exists() or (anchor and path.suffix == ".md"
                                     and anchor[1:] not in headings(path)):
                print("docs: %s: %s%s leads nowhere" % (page.relative_to(ROOT), target, anchor))
                bad += 1
    print("docs: %d links in %d pages" % (count, len(pages)))
    return 1 if bad or count < 50 else 0


sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/demo.svg, the recording in the README: docs/demo.py [build/rowtail]

Runs tests/demo/demo.sh on a terminal, and draws what it prints, when it prints it. Who
wants no motion, and what shows no animations, gets the last screen.
"""

import html
import os
import pathlib
import pty
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
COLUMNS, ROWS = 108, 24
SECONDS = 9             # of the shop
HOLD = 4.0              # s that the last screen stays
CHAR, LINE = 7.25, 18   # px
LEFT, TOP = 16, 44
BACK, FRAME, BAR = "#12181d", "#5d6f7a", "#1d262d"
INK, DIM, SHOP = "#d5dee4", "#8fa1ac", "#7cc7ff"
OF_OP = {"c": "#7ee2a0", "u": "#f3d06b", "d": "#ff9a8f"}


def record(rowtail):
    """[(seconds since the start, line)] up to the line that counts the events."""
    leader, follower = pty.openpty()
    start = time.monotonic()
    process = subprocess.Popen([ROOT / "tests/demo/demo.sh", rowtail], stdin=subprocess.DEVNULL,
                               stdout=follower, stderr=follower, cwd=ROOT,
                               env={**os.environ, "DEMO_SECONDS": str(SECONDS)})
    os.close(follower)
    lines, rest = [], b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:                 # its other end is closed
            break
        now = time.monotonic() - start
        *whole, rest = (rest + data).split(b"\n")
        lines += [(now, line.decode("utf-8").rstrip("\r")) for line in whole]
    if process.wait() != 0:
        raise SystemExit("demo.sh failed:\n" + "\n".join(text for _, text in lines))
    end = next(i for i, (_, text) in enumerate(lines) if text.startswith("rowtail printed"))
    lines = lines[:end + 1]
    lines[end] = (lines[end][0], lines[end][1].split(". ")[0] + ".")
    # Colours are ours, and the folder of a recording is nobody's business.
    return [(at, re.sub(r"\x1b\[[0-9;]*[mK]|\r|/\S*/rowtail-demo\.\w+/", "", text))
            for at, text in lines]


def tint(text):
    """[(colour, text)] of a line."""
    if text.startswith("shop: "):
        return [(SHOP, text)]
    if text.startswith("$ "):
        return [(DIM, "$ "), ("#ffffff", text[2:])]
    found = re.match(r'(\{"op":")(\w)(","table":")(\w+)(".*?)(,"before":)(.*?)(,"after":)(.*)$', text)
    if not found:
        return [(INK, text)]
    part = found.groups()
    colour = OF_OP.get(part[1], INK)
    return [(DIM, part[0]), (colour, part[1]), (DIM, part[2]), (colour, part[3]),
            (DIM, part[4]), (DIM, part[5]), (INK, part[6]), (DIM, part[7]), (INK, part[8])]


def broken(spans):
    """Rows of at most COLUMNS characters, as a terminal breaks them."""
    row, room = [], COLUMNS
    for colour, text in spans:
        while text:
            row.append((colour, text[:room]))
            room, text = room - len(row[-1][1]), text[room:]
            if not room:
                yield row
                row, room = [], COLUMNS
    if row or not spans or not spans[0][1]:
        yield row


def wrap(spans):
    """The same, but for an event that is too long: that is broken before "after", and if
    need be before "before"."""
    for word in (',"after":', ',"before":'):
        at = [i for i, (_, text) in enumerate(spans) if text == word]
        if at and sum(len(text) for _, text in spans) > COLUMNS:
            head, rest = spans[:at[0]] + [(DIM, ",")], spans[at[0] + 1:]
            yield from wrap(head)
            yield from broken([(DIM, "    " + word[1:]), *rest])
            return
    yield from broken(spans)


def drawn(row, y):
    parts = "".join('<tspan fill="%s">%s</tspan>' % (colour, html.escape(text, quote=False))
                    for colour, text in row)
    return '<text x="%d" y="%d">%s</text>' % (LEFT, y, parts)


def keyframes(name, steps, total):
    """`steps`: [(seconds, px)]; each holds until the next one."""
    at = {}
    for seconds, px in steps:
        at["%.2f" % (100 * seconds / total)] = px
    body = "".join("%s%%{transform:translateY(%dpx)}" % (percent.rstrip("0").rstrip("."), px)
                   for percent, px in at.items())
    return "@keyframes %s{%s}" % (name, body)


def main():
    rowtail = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/rowtail")
    lines = record(rowtail.resolve())
    # The shop is made before anybody sees something.
    first = lines[0][0] - 0.5
    total = lines[-1][0] - first + HOLD
    rows, scroll, cover = [], [(0, 0)], [(0, 0)]
    for at, text in lines:
        rows += wrap(tint(text))
        scroll.append((at - first, -LINE * max(0, len(rows) - ROWS)))
        cover.append((at - first, LINE * min(len(rows), ROWS)))
    width, height = round(2 * LEFT + COLUMNS * CHAR), TOP + ROWS * LINE + 10
    text = "".join(drawn(row, TOP + LINE * i + 13) for i, row in enumerate(rows))
    dots = "".join('<circle cx="%d" cy="16" r="5.5" fill="%s"/>' % (20 + 18 * i, fill)
                   for i, fill in enumerate(("#ff6f61", "#f3c14b", "#57c46a")))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}">'
        '<title>A shop writes its database; rowtail prints each change as it is committed'
        '</title><style>text{{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'
        '"DejaVu Sans Mono","Liberation Mono",monospace;white-space:pre}}'
        '.s{{transform:translateY({s}px);animation:s {t:.2f}s step-end infinite}}'
        '.c{{transform:translateY({c}px);animation:c {t:.2f}s step-end infinite}}'
        '{ks}{kc}@media(prefers-reduced-motion:reduce){{.s,.c{{animation:none}}}}</style>'
        '<clipPath id="v"><rect x="0" y="{top}" width="{w}" height="{vh}"/></clipPath>'
        '<rect x=".5" y=".5" width="{w1}" height="{h1}" rx="8" fill="{back}" stroke="{frame}"/>'
        '<path d="M1 32V8.500Q1 1 8.500 1H{wb}Q{w1} 1 {w1} 8.500V32z" fill="{bar}"/>{dots}'
        '<text x="{mid}" y="20" fill="{dim}" text-anchor="middle">make demo</text>'
        '<g clip-path="url(#v)"><g class="s">{text}</g>'
        '<rect class="c" x="8" y="{top}" width="{wc}" height="{vh}" fill="{back}"/></g></svg>\n'
    ).format(w=width, h=height, w1=width - 1, h1=height - 1, wb=width - 8.5, wc=width - 16,
             top=TOP, vh=ROWS * LINE, s=scroll[-1][1], c=cover[-1][1], t=total,
             ks=keyframes("s", scroll, total), kc=keyframes("c", cover, total), back=BACK,
             frame=FRAME, bar=BAR, dots=dots, mid=width // 2, dim=DIM, text=text)
    pathlib.Path(__file__).with_name("demo.svg").write_text(svg, encoding="utf-8")
    print("docs/demo.svg: %d bytes, %d rows, %.1f s" % (len(svg.encode()), len(rows), total))


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws docs/flow.svg, the picture of the README: docs/flow.py"""

import pathlib

WIDTH, HEIGHT = 860, 250
OUT = ["stdout, a file", "Kafka, exactly once", "a signed audit log", "an archive (Litestream's format)"]


def box(x, y, width, height, lines, strong=False):
    fill = "#0b6e99" if strong else "#f4f7f9"
    ink = "#ffffff" if strong else "#1c2b33"
    text = "".join(
        '<text x="%d" y="%d" fill="%s">%s</text>' % (
            x + width // 2, y + height // 2 + 5 - 9 * (len(lines) - 1) + 18 * i, ink, line)
        for i, line in enumerate(lines))
    return ('<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s" stroke="#0b6e99"/>'
            % (x, y, width, height, fill) + text)


def arrow(x1, y1, x2, y2, label=""):
    text = '<text x="%d" y="%d" fill="#51646e" font-size="12">%s</text>' % (
        (x1 + x2) // 2, min(y1, y2) - 6, label) if label else ""
    return ('<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#51646e" stroke-width="1.5" '
            'marker-end="url(#head)"/>' % (x1, y1, x2, y2) + text)


def main():
    parts = [
        box(10, 90, 130, 60, ["application", "(its own SQLite)"]),
        arrow(140, 120, 205, 120, "writes"),
        box(210, 75, 120, 40, ["app.db"]), box(210, 125, 120, 40, ["app.db-wal"]),
        arrow(330, 145, 415, 125, "reads"),
        box(420, 90, 120, 60, ["rowtail"], strong=True)]
    for i, name in enumerate(OUT):
        y = 15 + 57 * i
        parts += [arrow(540, 120, 615, y + 20), box(620, y, 230, 40, [name])]
    svg = ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
           'font-family="sans-serif" font-size="14" text-anchor="middle">'
           '<title>An application writes a database; rowtail reads its write-ahead log and '
           'makes events</title>'
           '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" '
           'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#51646e"/></marker></defs>'
           '<rect width="100%%" height="100%%" fill="#ffffff"/>%s</svg>\n' % (
               WIDTH, HEIGHT, WIDTH, HEIGHT, "".join(parts)))
    pathlib.Path(__file__).with_name("flow.svg").write_text(svg, encoding="utf-8")


main()

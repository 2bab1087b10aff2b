#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the pictures of docs/performance.md from its tables: docs/figures.py write

figures.svg: each figure of the table between the FIGURES marks, against reach and aim.
peers.svg: the table between the PEERS marks. `docs/figures.py check` says whether both
are those of the tables.
"""

import html
import math
import pathlib
import re
import sys

DOCS = pathlib.Path(__file__).resolve().parent
WIDTH = 860
STYLE = """
.paper{fill:#ffffff} .ink{fill:#1c2b33} .soft{fill:#51646e} .line{stroke:#aebbc2}
.strong{stroke:#51646e} .band{fill:#f1f5f7} .missed{fill:#d9541e} .kept{fill:#3f83c9}
.aim{fill:#0f8f6d} .ours{fill:#0b6e99} .theirs{fill:#8796a0} .range{stroke:#8796a0}
.ourrange{stroke:#0b6e99} .zone-missed{fill:#fbeee7} .zone-kept{fill:#eef4fb}
.zone-aim{fill:#e8f5f0} .name{font-weight:bold;fill:#0b6e99}
@media (prefers-color-scheme: dark){
.paper{fill:#0d1117} .ink{fill:#e3e9ed} .soft{fill:#9fb0ba} .line{stroke:#3d4b54}
.strong{stroke:#9fb0ba} .band{fill:#151c24} .missed{fill:#ff8a4f} .kept{fill:#6aaef5}
.aim{fill:#37c79c} .ours{fill:#4db5e0} .theirs{fill:#8796a0} .range{stroke:#8796a0}
.ourrange{stroke:#4db5e0} .zone-missed{fill:#2a1a13} .zone-kept{fill:#14202e}
.zone-aim{fill:#10251f} .name{fill:#4db5e0}}
"""


# --- tables -----------------------------------------------------------------------------


def table(page, mark):
    """The cells of each line of the table between two marks, without its head's rule."""
    found = re.search(f"<!-- {mark}: begin.*?-->(.*?)<!-- {mark}: end -->", page, re.S)
    if not found:
        sys.exit(f"docs: performance.md has no table between the {mark} marks")
    lines = [line for line in found.group(1).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not row[0].startswith("---")]


def number(text):
    """The number of a cell, whatever its unit; None: there is none."""
    found = re.search(r"\d[\d,]*\.?\d*(?:e[+-]?\d+)?", text)
    return float(found.group().replace(",", "")) if found else None


# --- parts of a picture -----------------------------------------------------------------


def text(x, y, words, kind="ink", size=13, anchor="start"):
    return (f'<text x="{x:g}" y="{y:g}" class="{kind}" font-size="{size}" '
            f'text-anchor="{anchor}">{html.escape(words)}</text>')


def rect(x, y, width, height, kind, opacity=1):
    return (f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
            f'class="{kind}"' + (f' opacity="{opacity}"' if opacity != 1 else "") + "/>")


def line(x1, y1, x2, y2, kind="line", width=1):
    return (f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}" '
            f'stroke-width="{width}"/>')


def mark(x, y, kind, shape="circle", hint=""):
    """A shape about 9 wide; `hint` is shown under a mouse."""
    title = f"<title>{html.escape(hint)}</title>" if hint else ""
    if shape == "circle":
        return f'<circle cx="{x:g}" cy="{y:g}" r="4.5" class="{kind}">{title}</circle>'
    points = {"square": [(-4, -4), (4, -4), (4, 4), (-4, 4)],
              "triangle": [(0, -5), (5, 4), (-5, 4)],
              "diamond": [(0, -6), (6, 0), (0, 6), (-6, 0)]}[shape]
    where = " ".join(f"{x + dx:g},{y + dy:g}" for dx, dy in points)
    return f'<polygon points="{where}" class="{kind}">{title}</polygon>'


def picture(title, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
            f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
            + rect(0, 0, WIDTH, height, "paper") + "\n" + "\n".join(parts) + "\n</svg>\n")


# --- figures.svg ------------------------------------------------------------------------

# What a row of the table belongs to: the first that its name has.
LANES = [
    ("Kafka", r"^Kafka"),
    ("audit log", r"^audit"),
    ("with a state directory", r"^--state"),
    ("archive, restore, diff, SQL", r"archive|^restore|^diff|^sql|^\(|^events|an hour|"
                                    r"^memory of"),
    ("snapshots", r"snapshot"),
    ("slowest commits, BUSY", r"^p99|SQLITE_BUSY"),
    ("size of the WAL", r"^WAL"),
    ("writer's speed, followed", r"^throughput|^drain"),
    ("CPU", r"CPU"),
    ("commit to line", r"^commit to line"),
    ("memory, start", r"memory|^start"),
    ("others", r""),
]
ORDER = ["commit to line", "writer's speed, followed", "slowest commits, BUSY",
         "size of the WAL", "CPU", "memory, start", "snapshots", "with a state directory",
         "archive, restore, diff, SQL", "audit log", "Kafka", "others"]
LEFT, RIGHT, TOP, LANE = 226, 844, 88, 34
FROM, TO = -1.0, 3.0  # in steps from reach to aim
STEP = (RIGHT - LEFT) / (TO - FROM)


def steps(here, reach, aim, is_least):
    """0: at reach; 1: at aim; by factors where there are any."""
    if aim is None:
        aim = reach * (2 if is_least else 0.5)
    is_met = here >= reach if is_least else here <= reach
    if here == reach == aim or (reach == aim and is_met):
        return 1.0
    if reach == aim:
        return FROM
    if min(here, reach, aim) > 0:
        return math.log(here / reach) / math.log(aim / reach)
    return (here - reach) / (aim - reach)


def read_figures(rows):
    """[(lane, steps, text, kind)] of those rows that have a limit and a figure."""
    figures = []
    for what, reach, aim, here, verdict in rows[1:]:
        if number(reach) is None or number(here) is None:
            continue
        at = steps(number(here), number(reach), number(aim), "≥" in reach)
        kind = ("missed" if verdict.startswith("MISS") else
                "aim" if "aim" in verdict else "kept")
        lane = next(name for name, pattern in LANES if re.search(pattern, what))
        figures.append((lane, at, f"{what}: {here} ({reach} was meant)", kind))
    return figures


def spread(places, middle):
    """Where the dots of a lane go: beside each other where they would hide one another."""
    taken = []
    for x in places:
        direction = -1 if x > (LEFT + RIGHT) / 2 else 1
        for shift in range(200):
            free = [(x + direction * shift, middle + dy) for dy in (0, -10, 10)
                    if all((x + direction * shift - tx) ** 2 + (middle + dy - ty) ** 2 > 92
                           for tx, ty in taken)]
            if free:
                taken.append(free[0])
                break
    return taken


def shortened(words):
    """To what fits in a line; what it says of the figure is at the end."""
    return words if len(words) <= 126 else words[:70] + " … " + words[-52:]


def draw_figures(page):
    figures = read_figures(table(page, "FIGURES"))
    lanes = [name for name in ORDER if any(f[0] == name for f in figures)]
    bottom = TOP + LANE * len(lanes)
    counts = {kind: sum(f[3] == kind for f in figures)
              for kind in ("missed", "kept", "aim")}
    reach_x, aim_x = LEFT - FROM * STEP, LEFT + (1 - FROM) * STEP
    parts = [
        text(16, 26, "What rowtail costs: each figure of make bench, between what is"
             " promised and what is aimed at", size=15),
        rect(LEFT - 10, TOP, reach_x - LEFT + 10, bottom - TOP, "zone-missed"),
        rect(reach_x, TOP, aim_x - reach_x, bottom - TOP, "zone-kept"),
        rect(aim_x, TOP, RIGHT + 8 - aim_x, bottom - TOP, "zone-aim"),
        text((LEFT - 10 + reach_x) / 2, 56, f"{counts['missed']} missed", size=14,
             anchor="middle"),
        text((reach_x + aim_x) / 2, 56, f"{counts['kept']} kept", size=14,
             anchor="middle"),
        text((aim_x + RIGHT + 8) / 2, 56, f"{counts['aim']} at the aim or better",
             size=14, anchor="middle"),
        text(reach_x, 80, "reach", "soft", 12, "middle"),
        text(aim_x, 80, "aim", "soft", 12, "middle"),
        text(LEFT - 10, 80, "worse", "soft", 12), text(RIGHT + 8, 80, "better", "soft",
                                                       12, "end"),
    ]
    for i, name in enumerate(lanes):
        middle = TOP + LANE * i + LANE / 2
        parts.append(text(LEFT - 22, middle + 5, name, anchor="end"))
        if i:
            parts.append(line(16, TOP + LANE * i, RIGHT + 8, TOP + LANE * i))
        ours = sorted((f for f in figures if f[0] == name), key=lambda f: -abs(f[1] - 1))
        places = [LEFT + (min(max(f[1], FROM), TO) - FROM) * STEP for f in ours]
        for (_, _, hint, kind), (x, y) in zip(ours, spread(places, middle)):
            parts.append(mark(x, y, kind, "diamond" if kind == "missed" else "circle",
                              hint))
    parts += [line(reach_x, TOP, reach_x, bottom, "strong", 1.5),
              line(aim_x, TOP, aim_x, bottom, "strong", 1.5)]
    notes = ["From reach to aim is one step to the right, whatever the figure; what is"
             " further than two steps from the aim is at the edge."]
    notes += ["Missed: " + shortened(f[2]) for f in figures if f[3] == "missed"]
    parts += [text(16, bottom + 24 + 18 * i, note, "soft" if i == 0 else "ink", 12)
              for i, note in enumerate(notes)]
    return picture("The figures of rowtail against reach and aim",
                   bottom + 24 + 18 * len(notes), parts)


# --- peers.svg --------------------------------------------------------------------------

SHAPES = [("inserts, 1000 a transaction", "circle"),
          ("inserts, one a transaction", "square"),
          ("random updates, 100 a transaction", "triangle")]
PEER_LEFT, PEER_TOP, PEER_LANE = 148, 96, 38
PANELS = [(160, 150), (340, 150), (520, 150), (700, 146)]  # x, width


class Scale:
    """Numbers to places in a panel: linear from 0, or by factors."""

    def __init__(self, panel, low, high, by_factors):
        self.x, self.width = panel
        self.low, self.high, self.by_factors = low, high, by_factors

    def at(self, value):
        value = min(max(value, self.low), self.high)
        part = (math.log(value / self.low) / math.log(self.high / self.low)
                if self.by_factors else (value - self.low) / (self.high - self.low))
        return self.x + 6 + part * (self.width - 12)


def peer_rows(rows, prefix):
    """[(shape, cell of each way)] of the rows that begin so, in the order of SHAPES."""
    return [(shape, next(row[1:] for row in rows if row[0] == f"{prefix}: {kind}"))
            for kind, shape in SHAPES]


def axis(scale, ticks, bottom, title, note):
    parts = [text(scale.x, 58, title, size=13), text(scale.x, 74, note, "soft", 11)]
    for value, words in ticks:
        x = scale.at(value)
        parts += [line(x, PEER_TOP - 4, x, bottom),
                  text(x, bottom + 15, words, "soft", 11, "middle")]
    return parts


def upper(values):
    """A round number above all of them."""
    most = max(values)
    step = 10 ** math.floor(math.log10(most))
    return next(step * k for k in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * k >= most)


FACTORS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]


def draw_ratios(panel, rows, prefix, title, note, ways, middle, bottom):
    """Marks of three kinds of work beside the line of a writer that is alone."""
    found = peer_rows(rows, prefix)
    values = [number(cell) for _, cells in found for cell in cells[1:] if number(cell)]
    if not values:
        return [text(panel[0], 58, title), text(panel[0], 74, "-: the machine was busy",
                                              "soft", 11)]
    low = max(f for f in FACTORS if f <= min(0.5, *values))
    high = min(f for f in FACTORS if f >= max(2, *values))
    scale = Scale(panel, low, high, True)
    parts = axis(scale, [(f, f"{f:g}×") for f in FACTORS if low <= f <= high], bottom,
                 title, note)
    parts.append(line(scale.at(1), PEER_TOP - 4, scale.at(1), bottom, "strong", 1.5))
    for row, (shape, cells) in enumerate(found):
        for i, (way, cell) in enumerate(zip(ways, cells[1:])):
            if number(cell):
                parts.append(mark(scale.at(number(cell)), middle(i) + 10 * (row - 1),
                                  colour(way), shape, f"{way}: {cell}"))
    return parts


def colour(way):
    return "ours" if way.startswith("rowtail") else "theirs"


def draw_latency(panel, rows, ways, middle, bottom):
    p50, p99 = (next(row[2:] for row in rows if row[0].startswith("commit to change seen")
                     and row[0].endswith(name)) for name in ("p50", "p99"))
    scale = Scale(panel, 0.1, 10_000, True)
    ticks = [(0.1, "0.1"), (1, "1"), (10, "10"), (100, "100"), (1000, "1 s")]
    parts = axis(scale, ticks, bottom, "commit to change seen", "ms; from p50 to p99")
    for i, way in enumerate(ways):
        if number(p50[i]) is None:
            continue
        a, b = scale.at(number(p50[i])), scale.at(number(p99[i]))
        ours = colour(way) == "ours"
        parts += [line(a, middle(i), b, middle(i), "ourrange" if ours else "range", 3),
                  line(b, middle(i) - 6, b, middle(i) + 6,
                       "ourrange" if ours else "range", 3),
                  mark(a, middle(i), colour(way), "circle",
                       f"{way}: p50 {p50[i]}, p99 {p99[i]}")]
    return parts


def draw_bytes(panel, rows, ways, middle, bottom):
    grown, beside = (peer_rows(rows, prefix)[0][1] for prefix in (
        "the database grows, a row", "files beside it grow, a row"))
    sums = [(number(grown[i + 1]) or 0, number(beside[i + 1]) or 0)
            for i in range(len(ways))]
    high = upper([a + b for a, b in sums])
    scale = Scale(panel, 0, high, False)
    alone = number(grown[0])
    parts = axis(scale, [(0, "0"), (alone, f"{alone:.0f}"), (high, f"{high:g}")], bottom,
                 "bytes on disk, a row", "database; lighter: other files")
    for i, way in enumerate(ways):
        if number(grown[i + 1]) is None:
            continue
        a, b = scale.at(sums[i][0]), scale.at(sum(sums[i]))
        parts += [rect(scale.at(0), middle(i) - 6, a - scale.at(0), 12, colour(way)),
                  rect(a, middle(i) - 6, b - a, 12, colour(way), 0.45)]
    parts.append(line(scale.at(alone), PEER_TOP - 4, scale.at(alone), bottom, "strong", 1.5))
    return parts


def draw_peers(page):
    rows = table(page, "PEERS")
    ways = rows[0][2:]
    bottom = PEER_TOP + PEER_LANE * len(ways)

    def middle(i):
        return PEER_TOP + PEER_LANE * i + PEER_LANE / 2

    parts = [text(16, 26, "Beside other ways to get changes out of SQLite: the same work,"
                  " one run", size=15)]
    for i, way in enumerate(ways):
        if i % 2 == 0:
            parts.append(rect(8, PEER_TOP + PEER_LANE * i, WIDTH - 16, PEER_LANE, "band"))
        parts.append(text(PEER_LEFT, middle(i) + 5, way,
                          "name" if colour(way) == "ours" else "ink", anchor="end"))
    parts += draw_ratios(PANELS[0], rows, "the writer's rows/s", "the writer's speed",
                         "of one alone; more is better", ways, middle, bottom)
    parts += draw_ratios(PANELS[1], rows, "CPU of a row, writer and follower",
                         "CPU of both, a row", "of one alone; less is better", ways,
                         middle, bottom)
    parts += draw_latency(PANELS[2], rows, ways, middle, bottom)
    parts += draw_bytes(PANELS[3], rows, ways, middle, bottom)
    x = 160
    for kind, shape in SHAPES:
        parts += [mark(x, bottom + 34, "theirs", shape),
                  text(x + 12, bottom + 38, kind, "soft", 12)]
        x += 36 + 6.4 * len(kind)
    return picture("rowtail beside other ways to get changes out of SQLite", bottom + 52,
                   parts)


def main():
    page = (DOCS / "performance.md").read_text(encoding="utf-8")
    pictures = [("figures.svg", draw_figures), ("peers.svg", draw_peers)]
    bad = 0
    for name, draw in pictures:
        path, drawn = DOCS / name, draw(page)
        if sys.argv[1:] == ["write"]:
            path.write_text(drawn, encoding="utf-8")
        elif sys.argv[1:] != ["check"]:
            sys.exit("usage: docs/figures.py write|check")
        elif not path.exists() or path.read_text(encoding="utf-8") != drawn:
            print(f"docs: {name} is not that of the table in performance.md: make docs")
            bad += 1
    if sys.argv[1] == "check":
        print(f"docs: {len(pictures) - bad} of {len(pictures)} pictures are of their tables")
    return 1 if bad else 0


sys.exit(main())

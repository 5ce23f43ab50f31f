"""Draw docs/pictures/rooms.svg from the imports of the core: `python docs/generate/rooms.py`.

It counts the imports that tests/architecture/test_rooms.py holds in order, inside functions and for type checkers too.
`luthier.api` imports by the names that its list has from each room.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from luthier import api  # noqa: E402
from tests.architecture.sources import core  # noqa: E402
from tests.architecture.test_rooms import LIGHT_ROOMS, ROOMS, TOP, every_import, room  # noqa: E402

PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"
OWNS = {
    "testing": "contract suites for the tests of plugins",
    "api": "all that a plugin may import",
    "cli": "the command line: flags, recipes, verbs, completion",
    "workflows": "wiring, runs, artifacts, pipelines, plans, comparisons",
    "evaluation": "tasks, metrics, forgetting, intervals",
    "training": "methods, trainer, optimizers, checkpoints",
    "inference": "generation, log-probabilities, scores, embeddings",
    "records": "the folder of a run: lock, events, metrics",
    "reporting": "report page, model card, charts, console",
    "config": "catalogue, composing, signatures, trust, instantiate",
    "data": "sources, formats, encoding, packing, loader",
    "models": "loading, safety, LM head, attention, adaptation",
    "plugins": "registry, hooks, renamed names",
    "contracts": "the types and protocols between rooms",
    "fetch": "packages, caches, endpoints",
    "disk": "writing whole and without secrets, full disks",
    "errors": "errors, exit codes, suggestions",
    "version": "the version",
}
"""What each room owns, as the picture says it."""
WIDTH, MARGIN, BOX, HIGH, GAP, STEP = 1000, 24, 330, 46, 26, 88
TURNED, CELL, LABEL = 92, 32, 110
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#4a4038}.room{font:600 15px ui-monospace,Menlo,monospace;fill:#25211c}"
    ".head{font-size:14px;font-weight:600;fill:#25211c}.count{font-weight:600;fill:#99480f;paint-order:stroke;stroke:#fffaf3;stroke-width:5px}"
    ".box{fill:#f6e7d2;stroke:#7a5230}"
    ".light{fill:#e4eef5;stroke:#3d6b8e}path{fill:none;stroke:#a98a68;stroke-width:1.6}.plate{fill:#fffaf3}"
    ".cell{fill:#f6e7d2}.own{fill:#d8cbb9}.never{fill:#faf6f0}.number{font-size:11px}"
)
LIGHT = LIGHT_ROOMS | {"api"}
"""Rooms in which no module imports torch at its top."""

LEGEND = (
    "Imports run downward; in blue rooms no module imports torch at its top. "
    "Arrows that follow from others are left out."
)
TITLE = "Modules (for api: names) that the room of a row imports from that of a column; none below the diagonal:"

Arrows = Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class Place:
    """Where a room stands, or where an arrow passes a layer: its centre, and how wide it is."""

    x: float
    y: float
    width: float


def arrows() -> Arrows:
    """(importing room, imported room) -> the number of imported modules, over all modules of the first, in order."""
    found = Counter(home.split(".")[1] for home in api.homes().values())
    counts = Counter({("api", to): number for to, number in found.items()})
    for module in core():
        if module.name not in TOP:
            inside = [name for name in every_import(module) if name.split(".")[0] == "luthier" and name not in TOP]
            counts.update((module.package, room(name)) for name in inside if room(name) != module.package)
    return {arrow: counts[arrow] for arrow in sorted(counts)}


def direct(counts: Arrows) -> Arrows:
    """The arrows that do not follow from others."""
    reached = _reached(counts)
    inner = {(a, b) for a, b in counts for middle in ROOMS if (a, middle) in counts and b in reached[middle]}
    return {arrow: number for arrow, number in counts.items() if arrow not in inner}


def _reached(counts: Arrows) -> dict[str, set[str]]:
    """What each room imports, also through others."""
    found: dict[str, set[str]] = {}
    for one in reversed(ROOMS):
        below = {to for start, to in counts if start == one}
        found[one] = below.union(*(found[other] for other in below))
    return found


def layers(counts: Arrows) -> dict[str, int]:
    """The layer of each room: one below the lowest room that imports it."""
    found: dict[str, int] = {}
    for one in ROOMS:
        found[one] = max((found[start] + 1 for start, to in counts if to == one), default=0)
    return found


def places(counts: Arrows) -> tuple[dict[str, Place], dict[tuple[str, str], list[Place]]]:
    """Where rooms stand and where arrows pass the layers between them, each layer centred."""
    layer = layers(counts)
    rows: list[list[tuple[str, str]]] = [[] for _ in range(max(layer.values()) + 1)]
    for one in ROOMS:
        rows[layer[one]].append((one, ""))
    for start, to in counts:
        for passed in range(layer[start] + 1, layer[to]):
            rows[passed].append((start, to))
    standing: dict[tuple[str, str], Place] = {}
    for number, row in enumerate(rows):
        row.sort(key=lambda one: (_wanted(one, counts, standing, number), one))
        widths = [GAP if to else BOX for _, to in row]
        x = (WIDTH - sum(widths) - GAP * (len(row) - 1)) / 2
        for (start, to), width in zip(row, widths, strict=True):
            standing[(f"{start}>{to}@{number}" if to else start), ""] = Place(
                x + width / 2, MARGIN + 56 + number * STEP, width
            )
            x += width + GAP
    plain = {key: place for (key, _), place in standing.items()}
    passing = {
        (start, to): [plain[f"{start}>{to}@{number}"] for number in range(layer[start] + 1, layer[to])]
        for start, to in counts
    }
    return {one: plain[one] for one in ROOMS}, passing


def _wanted(one: tuple[str, str], counts: Arrows, standing: Mapping[tuple[str, str], Place], number: int) -> float:
    """The mean place of what is above it and leads to it."""
    start, to = one
    if to:
        above = standing.get((f"{start}>{to}@{number - 1}", "")) or standing[start, ""]
        return above.x
    leading = [
        standing.get((f"{first}>{last}@{number - 1}", "")) or standing[first, ""]
        for first, last in counts
        if last == start and (first, "") in standing
    ]
    return sum(place.x for place in leading) / len(leading) if leading else 0.0


def drawn() -> str:
    """The SVG: the rooms in layers, and below them the table of all imports."""
    counts = arrows()
    shown = direct(counts)
    rooms, passing = places(shown)
    bottom = max(place.y for place in rooms.values()) + HIGH / 2 + 40
    height = bottom + TURNED + 40 + CELL * len(ROOMS) + MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        'aria-label="The rooms of the core in layers, and how many modules each imports from another">'
    )
    parts = [
        head,
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 Z" style="fill:#a98a68;stroke:none"/></marker></defs>',
        f'<rect class="plate" width="{WIDTH}" height="{height:.0f}"/>',
        _text(
            MARGIN,
            MARGIN,
            LEGEND,
        ),
        *(_arrow(rooms[start], passing[start, to], rooms[to], number) for (start, to), number in shown.items()),
        *(_box(one, place) for one, place in rooms.items()),
        *_table(counts, bottom),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _box(name: str, place: Place) -> str:
    left, top = place.x - place.width / 2, place.y - HIGH / 2
    kind = "box light" if name in LIGHT else "box"
    return (
        f'<rect class="{kind}" x="{left:.0f}" y="{top:.0f}" width="{place.width:.0f}" height="{HIGH}" rx="8"/>'
        + _text(place.x, place.y - 4, name, kind="room", anchor="middle")
        + _text(place.x, place.y + 15, OWNS[name], anchor="middle")
    )


def _arrow(start: Place, passing: list[Place], to: Place, number: int) -> str:
    left = (to.x - start.x) / 2
    begin = (start.x + max(-110.0, min(110.0, left)), start.y + HIGH / 2)
    end = (to.x - max(-110.0, min(110.0, left)), to.y - HIGH / 2 - 2)
    points = [begin, *((place.x, place.y + shift) for place in passing for shift in (-HIGH / 2, HIGH / 2)), end]
    line = f"M{points[0][0]:.0f},{points[0][1]:.0f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        line += f" C{x0:.0f},{middle:.0f} {x1:.0f},{middle:.0f} {x1:.0f},{y1:.0f}"
    (x0, y0), (x1, y1) = points[-2:]
    label = _text((x0 + x1) / 2 + 6, (y0 + y1) / 2 + 4, str(number), kind="count")
    return f'<path d="{line}" marker-end="url(#tip)"/>{label}'


def _table(counts: Arrows, top: float) -> Iterator[str]:
    """A row for each room that imports, a column for each that is imported; below the diagonal nothing stands."""
    left, first = (WIDTH - LABEL - CELL * len(ROOMS)) / 2 + LABEL, top + TURNED + 20
    yield _text(
        MARGIN,
        top,
        TITLE,
        kind="head",
    )
    for at, name in enumerate(ROOMS):
        x, y = left + CELL * at, first + CELL * at
        yield _text(left - 10, y + 21, name, kind="room", anchor="end")
        yield (f'<text transform="translate({x + 20:.0f},{first - 8:.0f}) rotate(-60)">{escape(name)}</text>')
        for below, other in enumerate(ROOMS):
            number = counts.get((name, other), 0)
            kind = "own" if name == other else "cell" if number else "never"
            cell = left + CELL * below
            yield f'<rect class="{kind}" x="{cell:.0f}" y="{y:.0f}" width="{CELL - 2}" height="{CELL - 2}" rx="3"/>'
            if number:
                yield _text(cell + CELL / 2 - 1, y + 20, str(number), kind="number", anchor="middle")


def _text(x: float, y: float, words: str, *, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")

"""The end of a run on the terminal: what changed, what it cost, where it is, what to do next."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from luthier.contracts.scores import FEWEST_PAIRS, Score
from luthier.reporting import story
from luthier.reporting.escaping import one_line
from luthier.reporting.facts import facts
from luthier.reporting.figures import duration, format_interval, format_number, format_signed, title
from luthier.reporting.record import RunRecord, ScoreComparison

SHOWN = (
    "Weights trained", "Optimizer steps", "Stopped early", "Best checkpoint", "Speed", "Training time", "Peak memory",
    "Artifact", "Report",
)  # fmt: skip
WORDS = {"better": "better", "worse": "worse", "not distinguishable": "~"}
STYLES = {"better": "green", "worse": "red"}
NAME = 12
"""Characters that a score's name has to itself, however long the figures are."""
RULE = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""A rule below the heading, of characters that every code page has."""


def table(record: RunRecord, places: Mapping[str, str] | None = None, *, width: int = 80, colour: bool = False) -> str:
    """The end of a run in at most `width` columns; ANSI only with `colour`, never from what the run's data say.

    `places` names what the run left (Artifact, Report) as the reader would type it.
    """
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
        legacy_windows=False,
    )
    if record.comparisons:
        console.print(_scores(record.comparisons))
        console.print(Text(_legend(record)), soft_wrap=False)
    if forgetting := story.forgetting(record):
        console.print(_plain(forgetting))
    console.print()
    _print_pairs(console, _facts(record, places or {}))
    for warning in record.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), _plain(warning)))
    for place, (what, command) in enumerate(record.next_commands.items()):
        console.print(Text.assemble("" if place else "\n", (f"{_ascii(one_line(what))}:", "dim")))
        console.print(Text("  ") + _plain(command), soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().strip("\n").splitlines())


def _scores(comparisons: Iterable[ScoreComparison]) -> Table:
    grid = Table(box=RULE, pad_edge=False, show_edge=False)
    grid.add_column("score", overflow="fold", min_width=NAME)
    for heading in ("before", "after", "change"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("", no_wrap=True)
    for c in comparisons:
        change = _cell(c.change, sign=True) if c.change else Text("")
        verdict = Text(WORDS.get(c.verdict, one_line(c.verdict)), style=STYLES.get(c.verdict, ""))
        grid.add_row(_plain(title(c.name)), _cell(c.before), _cell(c.after), change, verdict)
    return grid


def _cell(score: Score | None, *, sign: bool = False) -> Text:
    if score is None:
        return Text("-")
    value = format_signed(score.value) if sign else format_number(score.value)
    return Text.assemble(_ascii(value), "\n", (_ascii(format_interval(score, sign=sign)), "dim"))


def _legend(record: RunRecord) -> str:
    legend = f"below each figure: its {story.percent(record.confidence)} bootstrap interval over examples"
    changes = [c.change for c in record.comparisons if c.change and c.verdict == "not distinguishable"]
    if not changes:
        return legend
    few = all(change.count < FEWEST_PAIRS for change in changes)
    reason = f"fewer than {FEWEST_PAIRS} examples" if few else "the interval of the change holds 0"
    return f"{legend}\n~ not distinguishable: {reason}"


def _facts(record: RunRecord, places: Mapping[str, str]) -> list[tuple[str, str]]:
    known = facts(record) | dict(places)
    whole = [("Run", record.name), ("Whole run", duration(record.seconds) if record.seconds is not None else "")]
    return [pair for pair in [*whole, *((name, known.get(name, "")) for name in SHOWN)] if pair[1]]


def _print_pairs(console: Console, pairs: Iterable[tuple[str, str]]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=False)
    grid.add_column(overflow="fold")
    for name, text in pairs:
        grid.add_row(Text.assemble((_ascii(one_line(name)), "dim")), _plain(text))
    console.print(grid)


def _plain(text: str) -> Text:
    return Text(_ascii(one_line(text)))


def _ascii(text: str) -> str:
    """The true minus sign is not in every code page."""
    return text.replace("−", "-")

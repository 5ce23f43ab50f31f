"""The ledger on a terminal, or as plain text where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from luthier.data.ledger.entries import Entry, Ledger
from luthier.reporting.escaping import visible

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
_TRAINED = ("black on green", "black on bright_green")  # two of each, so that neighbours can be told apart
_CONTEXT = ("dim", "none")


def show(ledger: Ledger, console: Console, *, every_token: bool = False) -> None:
    """Write the ledger: a line for each stretch of one weight in one message, or for each token; totals; findings.

    The column `weight` says what the colours say. Control characters of the data are shown, not obeyed, and what
    the terminal's encoding lacks is escaped.
    """
    console.print(Text(_safe(ledger.where or "example", console), style="bold"))
    console.print(_tokens(ledger, console) if every_token else _stretches(ledger, console))
    console.print(_totals(ledger, console))
    for finding in ledger.findings:
        line = Text(f"{finding.severity}: ", style=_STYLES[finding.severity])
        console.print(line.append(_safe(f"{finding.message} {finding.hint}".strip(), console), style="none"))


def _stretches(ledger: Ledger, console: Console) -> Table:
    table = _table(console, "message", "role", "weight", "tokens", "text")
    dot = "·" if _can_write("·", console) else "|"
    for group in _grouped(ledger.tokens):
        first = group[0]
        text = Text(overflow="fold")
        for number, entry in enumerate(group):
            style = (_TRAINED if entry.weight else _CONTEXT)[number % 2]
            text.append(dot if number else "", style="dim").append(_one_line(entry.text, console), style=style)
        table.add_row(_number(first), _safe(first.role, console), f"{first.weight:g}", str(len(group)), text)
    return table


def _tokens(ledger: Ledger, console: Console) -> Table:
    table = _table(console, "place", "id", "message", "role", "weight", "token")
    for place, entry in enumerate(ledger.tokens):
        style = _TRAINED[0] if entry.weight else "none"
        token = Text(_one_line(entry.text, console), style=style, overflow="fold")
        table.add_row(str(place), str(entry.id), _number(entry), _safe(entry.role, console), f"{entry.weight:g}", token)
    return table


def _totals(ledger: Ledger, console: Console) -> Table:
    table = _table(console, "role", "tokens", "trained", "weight")
    for role, total in ledger.totals().items():
        table.add_row(_safe(role, console), f"{total['tokens']:g}", f"{total['trained']:g}", f"{total['weight']:g}")
    return table


def _table(console: Console, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, header_style="bold")
    for column in columns:
        words = column in {"text", "token"}
        table.add_column(column, justify="left" if words or column == "role" else "right", ratio=1 if words else None)
    return table


def _grouped(tokens: Iterable[Entry]) -> Iterator[list[Entry]]:
    for _, group in groupby(tokens, key=lambda entry: (entry.sequence, entry.message, entry.role, entry.weight)):
        yield list(group)


def _number(entry: Entry) -> str:
    return "" if entry.message is None else str(entry.message + 1)


def _one_line(text: str, console: Console) -> str:
    return _safe(visible(text).replace("\n", "\\n").replace("\t", "\\t") or "...", console)


def _safe(text: str, console: Console) -> str:
    encoding = console.encoding or "ascii"
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)


def _can_write(text: str, console: Console) -> bool:
    try:
        text.encode(console.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True

"""What `luthier preview` says of some examples: on stdout, as JSON, or as a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console as Terminal

from luthier.data.ledger.entries import Ledger
from luthier.disk.writing import write_text
from luthier.errors import DataError
from luthier.reporting.token_ledger.page import page
from luthier.reporting.token_ledger.terminal import show

if TYPE_CHECKING:
    from luthier.reporting.console import Console


def say(ledgers: Sequence[Ledger], console: Console, *, every_token: bool = False, html: Path | None = None) -> int:
    """Write the ledgers and give the exit code: 3 if any has an error, else 0."""
    if html is not None:
        write_text(html, page(ledgers))
        console.say(f"The page is {html}.")
    if console.as_json:
        console.data("", [ledger.as_json() for ledger in ledgers])
    else:
        terminal = Terminal(file=sys.stdout)
        for ledger in ledgers:
            show(ledger, terminal, every_token=every_token)
            terminal.print()
    return DataError.code if any(ledger.errors for ledger in ledgers) else 0

"""The ledger as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment

from luthier.data.ledger.entries import Ledger
from luthier.reporting.escaping import visible

MOST_TOKENS = 4000
"""Tokens of one example that a page shows; it says how many more there are."""


def page(ledgers: Sequence[Ledger], *, title: str = "Token ledger") -> str:
    """Every example with its tokens, totals and findings; all text of the data is escaped, and nothing runs."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["visible"] = visible
    template = environment.from_string(files(__package__).joinpath("page.html.j2").read_text("utf-8"))
    return template.render(ledgers=ledgers, title=title, most=MOST_TOKENS)

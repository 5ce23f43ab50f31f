"""The token ledger: each token of an example, whose it is, what it weighs, and what is wrong with that."""

from __future__ import annotations

from luthier.data.ledger.entries import Entry, Finding, Ledger
from luthier.data.ledger.inspection import inspect

__all__ = ["Entry", "Finding", "Ledger", "inspect"]

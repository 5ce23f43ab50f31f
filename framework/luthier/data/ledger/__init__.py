"""The token ledger: each token of an example with its message, role and loss weight, and findings about them."""

from __future__ import annotations

from luthier.data.ledger.entries import Entry, Finding, Ledger
from luthier.data.ledger.inspection import inspect

__all__ = ["Entry", "Finding", "Ledger", "inspect"]

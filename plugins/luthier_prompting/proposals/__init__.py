"""Sources of instructions for a prompt optimisation, one class a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from luthier.api import Demonstration


class Proposals(Protocol):
    """Proposes instructions for a task that is given by examples."""

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        """The instructions; `pool` holds the questions of the training split with their answers."""

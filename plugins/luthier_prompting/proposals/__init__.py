"""Where instructions come from. One way a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from luthier_prompting.demonstration import Demonstration


class Proposals(Protocol):
    """Proposes instructions for a task that is known by examples."""

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        """The instructions; `pool` holds questions of the training split with their answers."""

"""Instructions written in the recipe."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.api import Demonstration
from luthier_prompting.proposals import Proposals


class ListedInstructions(Proposals):
    """Propose the `instructions` of the recipe."""

    def __init__(self, *, instructions: list[str] | None = None) -> None:
        self.instructions = list(instructions or ())

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        return self.instructions

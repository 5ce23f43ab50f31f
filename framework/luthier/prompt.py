"""How does an example become text? The smallest answer."""

from __future__ import annotations

from typing import Any

from luthier.parts import Example, Prompt


class Chat(Prompt):
    """The conversation as the data has it."""

    def __call__(self, example: Example) -> Example:
        return example

    def opening(self) -> list[dict[str, Any]]:
        return []

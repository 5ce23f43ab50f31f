"""Say what to do, and ask in other words."""

from __future__ import annotations

from typing import Any

from luthier.api import Example, Prompt, RecipeError
from luthier_prompting.prompt_template import Frame


class Instruction(Prompt):
    """Put a system prompt before every conversation, and the user's last turn into a template's words.

    The template is Jinja, in a sandbox. It knows `question` (what the user said), `text` (of a classification: what is
    to be classified, without the words around it) and the further columns of an example, never its answer.
    """

    def __init__(self, *, system: str = "", template: str | None = None) -> None:
        if not system and template is None:
            raise RecipeError(
                "prompt=instruction has nothing to say.", where="prompt.system", hint='Set prompt.system="…".'
            )
        self.frame = Frame(system, template)

    def __call__(self, example: Example) -> Example:
        return self.frame(example)

    def opening(self) -> list[dict[str, Any]] | None:
        return self.frame.opened([], []) if self.frame.same_for_all else None

"""A system prompt and a template for the question."""

from __future__ import annotations

from typing import Any

from luthier.api import Example, Prompt, RecipeError
from luthier_prompting.prompt_template import PromptTemplate


class Instruction(Prompt):
    """Put a system prompt before every conversation, and render the user's last turn with a template.

    The template is Jinja, in a sandbox. It can use `question` (the user's message), `text` (of a classification: the
    text to classify) and the further columns of an example, never its answer.
    """

    def __init__(self, *, system: str = "", template: str | None = None) -> None:
        if not system and template is None:
            raise RecipeError(
                "prompt=instruction has neither a system prompt nor a template.",
                where="prompt.system",
                hint="Set 'prompt.system=\"…\"'.",
            )
        self.template = PromptTemplate(system, template)

    def __call__(self, example: Example) -> Example:
        return self.template(example)

    def opening(self) -> list[dict[str, Any]] | None:
        return self.template.opening()

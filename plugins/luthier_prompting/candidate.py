"""A prompt that says the same before every question: an instruction, and examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import Example, Prompt
from luthier_prompting.demonstration import Demonstration, question_key
from luthier_prompting.prompt_template import Frame, text_asked

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE = "prompt.json"


class Candidate(Prompt):
    """An instruction as system prompt and examples as earlier turns; one that asks the same is not shown."""

    def __init__(self, system: str, template: str | None, shown: Sequence[Demonstration]) -> None:
        self._say(system, template, shown)

    def _say(self, system: str, template: str | None, shown: Sequence[Demonstration]) -> None:
        self.system, self.template, self.shown = system, template, list(shown)
        self.frame = Frame(system, template)

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """It says what it was told to."""

    def __call__(self, example: Example) -> Example:
        asked = question_key(text_asked(example))
        return self.frame(example, [one for one in self.shown if one.key != asked])

    def opening(self) -> list[dict[str, Any]] | None:
        if not self.frame.same_for_all:
            return None
        messages: list[dict[str, Any]] = self.frame({"messages": [{"role": "user", "content": ""}]}, self.shown)[
            "messages"
        ]
        return messages[:-1]

    def save(self, folder: Path) -> None:
        told = {
            "system": self.system,
            "template": self.template,
            "examples": [replace(one, where="").as_json() for one in self.shown],
        }
        (folder / FILE).write_text(json.dumps(told, indent=1, ensure_ascii=False, default=str), encoding="utf-8")

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        self._say(told["system"], told["template"], [Demonstration(**one) for one in told["examples"]])

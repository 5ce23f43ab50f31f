"""A candidate prompt of an optimisation: an instruction and in-context examples, the same for every question."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import Demonstration, Example, Prompt, question_key
from luthier_prompting.prompt_template import PromptTemplate, question_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE = "prompt.json"


class Candidate(Prompt):
    """An instruction as system prompt, and examples as earlier turns, without one that has the same question."""

    def __init__(self, system: str, template: str | None, shown: Sequence[Demonstration]) -> None:
        self._set(system, template, shown)

    def _set(self, system: str, template: str | None, shown: Sequence[Demonstration]) -> None:
        self.system, self.template_source, self.shown = system, template, list(shown)
        self.template = PromptTemplate(system, template)

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """A candidate is fixed: nothing is learned."""

    def __call__(self, example: Example) -> Example:
        key = question_key(question_text(example))
        return self.template(example, [shown for shown in self.shown if shown.key != key])

    def opening(self) -> list[dict[str, Any]] | None:
        return self.template.opening(self.shown)

    def save(self, folder: Path) -> None:
        content = {
            "system": self.system,
            "template": self.template_source,
            "examples": [replace(shown, where="").as_json() for shown in self.shown],
        }
        (folder / FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False, default=str), encoding="utf-8")

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        self._set(content["system"], content["template"], [Demonstration(**one) for one in content["examples"]])

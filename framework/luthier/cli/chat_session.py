"""A conversation with a customised model: who said what, and the next answer while it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier.evaluation.citations import cited_numbers

if TYPE_CHECKING:
    from luthier.contracts.sampling import Answer, Sampling
    from luthier.workflows.artifact import Artifact

UNFINISHED = "\ufffd"  # what a tokenizer gives for a character whose last bytes are still to come


@dataclass
class Chat:
    """What was said so far; a system prompt comes first, and stays when the conversation starts anew."""

    artifact: Artifact
    sampling: Sampling
    system: str = ""
    turns: list[dict[str, Any]] = field(default_factory=list)

    def reset(self) -> None:
        self.turns.clear()

    def say(self, text: str, hear: Callable[[str], None] = lambda piece: None) -> dict[str, Any]:
        """Answer as the assistant; `hear` is given the text in pieces. What fails leaves no turn behind."""
        turns = [*self.turns, {"role": "user", "content": text}]
        opening = [{"role": "system", "content": self.system}] if self.system else []
        shown = self.artifact.prompt({"messages": [*opening, *turns]})
        reader, began = _Reader(self.artifact.tokenizer, hear), time.perf_counter()
        (answer,) = self.artifact.answers([shown["messages"]], self.sampling, on_token=reader.read)
        reader.end(answer.text)
        self.turns = [*turns, {"role": "assistant", "content": answer.text}]
        seconds = time.perf_counter() - began
        return {
            "answer": answer.text,
            "finish": answer.finish,
            "tokens": len(answer.ids),
            "tokens_per_second": round(len(answer.ids) / seconds, 1),
            **({"sources": sources(answer.text, shown["passages"])} if "passages" in shown else {}),
        }


def sources(answer: str, passages: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """What an answer cites of the passages that it was shown: number, document and heading."""
    known = dict(enumerate(passages, 1))
    return [
        {"number": number, "document": known[number]["document"], "heading": known[number]["heading"]}
        for number in cited_numbers(answer)
        if number in known
    ]


@dataclass
class _Reader:
    """Gives on what is new in an answer, whole characters only."""

    tokenizer: Any
    hear: Callable[[str], None]
    told: str = ""

    def read(self, answer: Answer) -> None:
        text = self.tokenizer.decode(answer.ids, skip_special_tokens=True)
        if text.startswith(self.told) and not text.endswith(UNFINISHED):
            self.end(text)

    def end(self, text: str) -> None:
        if text.startswith(self.told):
            self.hear(text[len(self.told) :])
            self.told = text

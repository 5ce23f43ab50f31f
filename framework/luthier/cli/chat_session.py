"""A conversation with a customised model, whose answers are streamed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier.evaluation.citations import cited_numbers

if TYPE_CHECKING:
    from luthier.contracts.sampling import Answer, Sampling
    from luthier.workflows.artifact import Artifact

UNFINISHED = "\ufffd"  # decoded from an incomplete character


@dataclass
class Chat:
    """The turns so far; the system prompt comes first and survives `reset`."""

    artifact: Artifact
    sampling: Sampling
    system: str = ""
    turns: list[dict[str, Any]] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)

    def reset(self) -> None:
        self.turns.clear()

    def say(self, text: str, on_text: Callable[[str], None] = lambda piece: None) -> dict[str, Any]:
        """Generate the next answer, which `on_text` receives in pieces; a failure adds no turn."""
        from luthier.data.examples import conversation_of

        turns = [*self.turns, {"role": "user", "content": text}]
        opening = [{"role": "system", "content": self.system}] if self.system else []
        shown = self.artifact.prompt({"messages": [*opening, *turns], **({"tools": self.tools} if self.tools else {})})
        decoder, began = _StreamDecoder(self.artifact.tokenizer, on_text), time.perf_counter()
        (answer,) = self.artifact.answers([conversation_of(shown)], self.sampling, on_token=decoder.read)
        decoder.end(answer.text)
        reasoning = {"reasoning_content": answer.reasoning} if answer.reasoning else {}
        self.turns = [*turns, {"role": "assistant", "content": answer.spoken, **reasoning}]
        seconds = time.perf_counter() - began
        return {
            "answer": answer.spoken,
            **({"reasoning": answer.reasoning} if answer.reasoning is not None else {}),
            "finish": answer.finish,
            "tokens": len(answer.ids),
            "tokens_per_second": round(len(answer.ids) / seconds, 1),
            **({"sources": sources(answer.text, shown["passages"])} if "passages" in shown else {}),
        }


def sources(answer: str, passages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The passages that an answer cites: number, document and heading, and `also`, where other documents hold it."""
    known = dict(enumerate(passages, 1))
    return [
        {
            "number": number,
            "document": known[number]["document"],
            "heading": known[number]["heading"],
            **({"also": list(known[number]["also"])} if known[number].get("also") else {}),
        }
        for number in cited_numbers(answer)
        if number in known
    ]


@dataclass
class _StreamDecoder:
    """Passes on the new text of an answer, whole characters only."""

    tokenizer: Any
    on_text: Callable[[str], None]
    printed: str = ""

    def read(self, answer: Answer) -> None:
        text = self.tokenizer.decode(answer.ids, skip_special_tokens=True)
        if text.startswith(self.printed) and not text.endswith(UNFINISHED):
            self.end(text)

    def end(self, text: str) -> None:
        if text.startswith(self.printed):
            self.on_text(text[len(self.printed) :])
            self.printed = text

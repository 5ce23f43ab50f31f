"""Few-shot prompting: in-context examples of the training split with every question."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import (
    DataError,
    Demonstration,
    Example,
    Prompt,
    RecipeError,
    Selection,
    encode_prompt,
    last_question,
    misreturned,
    question_key,
    returned,
)
from luthier_prompting.prompt_template import PromptTemplate, question_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE = "examples.jsonl"


class FewShot(Prompt):
    """Show up to `shots` examples of the training split before each question (Brown et al., 2020).

    They are earlier turns of the conversation with loss weight 0, unless the `template` renders `examples`, each with
    `question`, `text` and `answer`. An example with the same question is not shown. All shown examples take at most
    `tokens` tokens: one that does not fit is skipped. At most `pool` training examples, a random sample, can be shown
    at all; a run's artifact holds these, or only the shown ones where they are the same for every question. `system`
    and `template` are those of `prompt=instruction`.
    """

    def __init__(
        self,
        *,
        selection: Selection,
        shots: int = 4,
        tokens: int = 512,
        pool: int = 10_000,
        system: str = "",
        template: str | None = None,
    ) -> None:
        for name, value in (("shots", shots), ("tokens", tokens), ("pool", pool)):
            if value < 1:
                raise RecipeError(f"prompt.{name} is {value}.", where=f"prompt.{name}", hint="Use 1 or more.")
        self.selection, self.shots, self.tokens, self.pool_size = selection, shots, tokens, pool
        self.template = PromptTemplate(system, template)
        self.usable = self.unusable = 0
        self._truncated: set[bytes] = set()
        self._ready: _Pool | None = None

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """Sample the pool. DataError for an example of another split, and where no example can be shown."""
        generator, sampled = random.Random(0), dict[int, tuple[int, Demonstration]]()
        self.usable = self.unusable = 0
        for example in examples:
            if example.get("split", "train") != "train":
                raise DataError(
                    "An example that is held out must not be shown as an in-context example.",
                    where=str(example.get("where")),
                )
            demonstration = self.template.demonstration(example)
            if demonstration is None:
                self.unusable += 1
                continue
            self.usable += 1
            place = len(sampled) if len(sampled) < self.pool_size else generator.randrange(self.usable)
            if place < self.pool_size:  # reservoir sampling, algorithm R (Vitter, 1985)
                sampled[place] = self.usable, demonstration
        if not sampled:
            raise DataError(
                "No training example is a single question with its answer, so no in-context example can be shown.",
                hint="Use prompt=chat or prompt=instruction.",
            )
        pool = [demonstration for _, demonstration in sorted(sampled.values(), key=lambda one: one[0])]
        self.selection.learn(list(pool))  # a list of its own, which it may change
        self._use(pool, self.selection, tokenizer)

    @property
    def pool(self) -> Sequence[Demonstration]:
        """The training examples that can be shown, in the order of the data."""
        return self._pool.demonstrations

    def __call__(self, example: Example) -> Example:
        return self.template(example, self.shown(example))

    def shown(self, example: Example) -> list[Demonstration]:
        """The examples that are shown with a question, in their order in the prompt."""
        pool = self._pool
        if last_question(example) is None:
            return []
        text = question_text(example)
        selected = self._select(pool.order(text), question_key(text))
        return selected[::-1] if pool.order.best_last else selected

    def _select(self, order: Iterable[int], key: bytes) -> list[Demonstration]:
        """The first `shots` of an order that fit into the token budget and have another question than `key`."""
        selected, budget, pool = list[Demonstration](), self.tokens, self._pool
        for number in self._numbers(order):
            demonstration = pool.demonstrations[number]
            if demonstration.key == key or (cost := pool.cost(number)) > budget:
                continue
            selected.append(demonstration)
            budget -= cost
            if len(selected) == self.shots:
                return selected
        self._truncated.add(key)
        return selected

    def _numbers(self, order: Iterable[int]) -> Iterator[int]:
        """The ranking of the selection, as far as it is read."""
        seen, count = set[int](), len(self._pool.demonstrations)
        expected = f"numbers of the {count} examples of the pool, from 0, each at most once"
        number: Any
        for number in returned(order, Iterable, self.selection):
            if not isinstance(number, Integral) or not 0 <= int(number) < count or number in seen:
                raise misreturned(self.selection, expected, number)
            seen.add(int(number))
            yield int(number)

    @property
    def _pool(self) -> _Pool:
        if self._ready is None:
            raise RecipeError("prompt=few_shot has seen no training split.", hint="Run its recipe again.")
        return self._ready

    def _use(self, pool: list[Demonstration], order: Selection, tokenizer: PreTrainedTokenizerBase) -> None:
        self._ready = _Pool(pool, order, self.template, tokenizer)
        self._truncated = set()

    def save(self, folder: Path) -> None:
        shown = self._same_for_all() if self.selection.fixed else self.pool
        lines = (json.dumps(one.as_json(), ensure_ascii=False, default=str) + "\n" for one in shown)
        (folder / FILE).write_text("".join(lines), encoding="utf-8")

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Take the pool from the artifact; a fixed selection has the order in which it was stored."""
        pool = list(_read(folder / FILE))
        order = StoredOrder() if self.selection.fixed else self.selection
        order.learn(pool)
        self._use(pool, order, tokenizer)

    def opening(self) -> list[dict[str, Any]] | None:
        """The examples as turns, where they are the same for every question."""
        if not (self.selection.fixed and self.template.keeps_questions):
            return None
        return self.template.opening(self._same_for_all())

    def _same_for_all(self) -> list[Demonstration]:
        return self._select(self._pool.order(""), b"")

    @property
    def warnings(self) -> list[str]:
        sentences = []
        if self._truncated:
            sentences.append(
                f"{len(self._truncated)} questions were shown fewer than {self.shots} examples, as no more fit into "
                f"prompt.tokens={self.tokens}, or there are no more."
            )
        if self.unusable:
            sentences.append(
                f"{self.unusable} training examples are no single question with its answer and are never shown."
            )
        if self._ready is not None and self.usable > len(self.pool):
            sentences.append(f"Of {self.usable} training examples a random sample of {len(self.pool)} can be shown.")
        return sentences


@dataclass
class _Pool:
    """The demonstrations that can be shown, the selection that orders them, and their cached costs in tokens."""

    demonstrations: list[Demonstration]
    order: Selection
    template: PromptTemplate
    tokenizer: PreTrainedTokenizerBase
    _costs: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._without = self._token_count([])

    def cost(self, number: int) -> int:
        """The number of tokens that a demonstration adds to a conversation."""
        if number not in self._costs:
            self._costs[number] = self._token_count([self.demonstrations[number]]) - self._without
        return self._costs[number]

    def _token_count(self, shown: Sequence[Demonstration]) -> int:
        """The tokens of a one-word question with demonstrations; it has the columns that the template uses."""
        question = {**self.demonstrations[0].columns, "messages": [{"role": "user", "content": "?"}]}
        return len(encode_prompt(self.template(question, shown), self.tokenizer))


class StoredOrder(Selection):
    """Select the stored examples in the order of the file."""

    fixed = True
    best_last = False

    def learn(self, pool: Sequence[Demonstration]) -> None:
        self.count = len(pool)

    def __call__(self, text: str) -> Iterable[int]:
        yield from range(self.count)


def _read(file: Path) -> Iterator[Demonstration]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield Demonstration(**json.loads(line))

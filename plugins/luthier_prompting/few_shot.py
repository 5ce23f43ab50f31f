"""Show examples with every question."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, Example, Prompt, RecipeError, encode_prompt, last_question
from luthier_prompting.demonstration import Demonstration, question_key
from luthier_prompting.prompt_template import Frame, text_asked
from luthier_prompting.selection import Selection

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE = "examples.jsonl"


class FewShot(Prompt):
    """Show up to `shots` examples of the training split before each question (Brown et al., 2020).

    They are earlier turns of the conversation, which count for no loss, unless the `template` has a place for
    `examples`, each with `question`, `text` and `answer`. An example that asks the same as the question is not shown
    with it. All that are shown take at most `tokens` tokens: one that no longer fits is passed over for the next. At
    most `pool` training examples, by chance, may be shown at all; a run's artifact holds these, or the shown ones where
    they are the same for every question. `system` and `template` are those of `prompt=instruction`.
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
        self.selection, self.shots, self.tokens, self.most = selection, shots, tokens, pool
        self.frame = Frame(system, template)
        self.pool: list[Demonstration] = []
        self.seen = self.unfit = 0
        self._begin()

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """Keep what can be shown. DataError for an example of another split, and where nothing can be shown."""
        chance, kept, self.seen, self.unfit = random.Random(0), dict[int, tuple[int, Demonstration]](), 0, 0
        for example in examples:
            if example.get("split", "train") != "train":
                raise DataError("An example that is held out was about to be shown.", where=str(example.get("where")))
            shown = self.frame.demonstration(example)
            if shown is None:
                self.unfit += 1
                continue
            self.seen += 1
            place = len(kept) if len(kept) < self.most else chance.randrange(self.seen)
            if place < self.most:  # of any number each is as likely (algorithm R, Vitter, 1985)
                kept[place] = self.seen, shown
        if not kept:
            raise DataError(
                "No training example is a single question with its answer, so there is nothing to show.",
                hint="Use prompt=chat or prompt=instruction.",
            )
        self.selection.learn(pool := [shown for _, shown in sorted(kept.values(), key=lambda each: each[0])])
        self._take(pool, self.selection, tokenizer)

    def __call__(self, example: Example) -> Example:
        return self.frame(example, self.shown(example))

    def shown(self, example: Example) -> list[Demonstration]:
        """The examples that are shown with a question, in the order in which they stand."""
        if not self.pool:
            raise RecipeError("prompt=few_shot has seen no training split.", hint="Run its recipe again.")
        if last_question(example) is None:
            return []
        text = text_asked(example)
        found = self._chosen(self.order(text), question_key(text))
        return found[::-1] if self.order.best_last else found

    def _chosen(self, order: Iterable[int], asked: bytes) -> list[Demonstration]:
        found, left = list[Demonstration](), self.tokens
        for number in order:
            one = self.pool[number]
            if one.key == asked or (cost := self._cost(number)) > left:
                continue
            found.append(one)
            left -= cost
            if len(found) == self.shots:
                return found
        self._short.add(asked)
        return found

    def _cost(self, number: int) -> int:
        """The tokens by which a conversation is longer with this example."""
        if number not in self._costs:
            self._costs[number] = self._size([self.pool[number]]) - self._bare
        return self._costs[number]

    def _size(self, shown: Sequence[Demonstration]) -> int:
        """The tokens of a conversation of one word with these examples; it has all columns that the template asks."""
        asked = {**self.pool[0].columns, "messages": [{"role": "user", "content": "?"}]}
        return len(encode_prompt(self.frame(asked, shown), self._tokenizer))

    def _take(self, pool: list[Demonstration], order: Selection, tokenizer: PreTrainedTokenizerBase) -> None:
        self.pool, self.order, self._tokenizer = pool, order, tokenizer
        self._begin()
        self._bare = self._size([])

    def _begin(self) -> None:
        self._costs: dict[int, int] = {}
        self._short: set[bytes] = set()

    def save(self, folder: Path) -> None:
        kept = self._same_for_all() if self.selection.fixed else self.pool
        lines = (json.dumps(one.as_json(), ensure_ascii=False, default=str) + "\n" for one in kept)
        (folder / FILE).write_text("".join(lines), encoding="utf-8")

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Show what the run showed; a fixed choice comes back as it stood."""
        pool = list(_read(folder / FILE))
        order = Kept() if self.selection.fixed else self.selection
        order.learn(pool)
        self._take(pool, order, tokenizer)

    def opening(self) -> list[dict[str, Any]] | None:
        """The examples as turns, where they are the same for every question."""
        if not (self.selection.fixed and self.frame.same_for_all):
            return None
        messages: list[dict[str, Any]] = self.frame({"messages": [_NOTHING]}, self._same_for_all())["messages"]
        return messages[:-1]

    def _same_for_all(self) -> list[Demonstration]:
        return self._chosen(self.order(""), b"")

    @property
    def warnings(self) -> list[str]:
        found = []
        if self._short:
            found.append(
                f"{len(self._short)} questions were shown fewer than {self.shots} examples, as no more fit into "
                f"prompt.tokens={self.tokens}, or there are no more."
            )
        if self.unfit:
            found.append(f"{self.unfit} training examples are no single question with its answer and are never shown.")
        if self.seen > len(self.pool):
            found.append(f"Of {self.seen} training examples {len(self.pool)}, drawn by chance, may be shown.")
        return found


class Kept(Selection):
    """All examples in the order in which they were kept."""

    fixed = True
    best_last = False

    def learn(self, pool: Sequence[Demonstration]) -> None:
        self.count = len(pool)

    def __call__(self, text: str) -> Iterable[int]:
        yield from range(self.count)


_NOTHING = {"role": "user", "content": ""}


def _read(file: Path) -> Iterator[Demonstration]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield Demonstration(**json.loads(line))

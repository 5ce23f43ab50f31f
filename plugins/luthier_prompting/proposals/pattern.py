"""Instructions that differ in some words."""

from __future__ import annotations

import string
from collections.abc import Sequence
from itertools import islice, product

from luthier.api import RecipeError
from luthier_prompting.demonstration import Demonstration
from luthier_prompting.proposals import Proposals


class Pattern(Proposals):
    """`sentence` with each `{name}` in turn by each of `words[name]`; of more than `most` the first."""

    def __init__(
        self,
        *,
        sentence: str = "{role} {task} {form}",
        words: dict[str, list[str]] | None = None,
        most: int = 32,
    ) -> None:
        names = [name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None]
        self.names, self.sentence, self.words, self.most = list(dict.fromkeys(names)), sentence, words or {}, most
        if words is not None and (unknown := set(self.names) ^ set(words)):
            raise RecipeError(
                f"{min(unknown)!r} stands in only one of sentence and words.", where="prompt.proposals.words"
            )

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        if not self.words:
            raise RecipeError("There are no words to fill the sentence with.", where="prompt.proposals.words")
        filled = (dict(zip(self.names, each, strict=True)) for each in product(*(self.words[n] for n in self.names)))
        parts = list(string.Formatter().parse(self.sentence))
        made = (
            "".join(text + (each[name] if name is not None else "") for text, name, _, _ in parts) for each in filled
        )
        return list(islice(made, self.most))

"""Instructions from a sentence with placeholders."""

from __future__ import annotations

import string
from collections.abc import Sequence
from itertools import islice, product

from luthier.api import Demonstration, RecipeError
from luthier_prompting.proposals import Proposals


class InstructionPattern(Proposals):
    """Fill each `{name}` of `sentence` with each of `words[name]`: the first `most` of all combinations."""

    def __init__(
        self,
        *,
        sentence: str = "{role} {task} {form}",
        words: dict[str, list[str]] | None = None,
        most: int = 32,
    ) -> None:
        self.parts = [(text, name) for text, name, _, _ in string.Formatter().parse(sentence)]
        self.names = list(dict.fromkeys(name for _, name in self.parts if name is not None))
        self.words, self.most = words or {}, most
        if words is not None and (unknown := set(self.names) ^ set(words)):
            raise RecipeError(
                f"{min(unknown)!r} stands in only one of sentence and words.", where="prompt.proposals.words"
            )

    def __call__(self, pool: Sequence[Demonstration]) -> list[str]:
        if not self.words:
            raise RecipeError("There are no words to fill the sentence with.", where="prompt.proposals.words")
        combinations = product(*(self.words[name] for name in self.names))
        return [self._filled(dict(zip(self.names, values, strict=True))) for values in islice(combinations, self.most)]

    def _filled(self, values: dict[str, str]) -> str:
        return "".join(text + ("" if name is None else values[name]) for text, name in self.parts)

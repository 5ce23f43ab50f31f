"""Training with the right passage among wrong ones, or without it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from luthier.api import Example, RecipeError, answer_of, prompt_key
from luthier_retrieval.chunking import Passage
from luthier_retrieval.teaching import Lesson, Teaching


class Distractors(Teaching):
    """Show a right passage among others that were found, in an order by chance: RAFT (Zhang et al., 2024).

    A share `oracle` of the examples sees one; the others see none, and learn to say that the documents do not hold the
    answer (`without: absent`) or to know it by heart, as in the paper (`without: answer`). With `cite` the answer ends
    with the number of the right passage. Examples without `relevant` documents are shown what was found.
    """

    def __init__(
        self,
        *,
        oracle: float = 0.8,
        without: Literal["absent", "answer"] = "absent",
        cite: bool = True,
        seed: int = 0,
    ) -> None:
        if not 0 <= oracle <= 1:
            raise RecipeError(
                f"prompt.teaching.oracle is {oracle}.", where="prompt.teaching.oracle", hint="Use 0 to 1."
            )
        self.oracle, self.without, self.cite, self.seed = oracle, without, cite, seed

    def __call__(
        self, example: Example, found: Sequence[Passage], right: Sequence[Passage], shown: int, absent: str
    ) -> Lesson:
        relevant = set(example.get("relevant") or ())
        wrong = [passage for passage in found if passage.document not in relevant]
        if not relevant:
            return Lesson(wrong[:shown])
        draw = random.Random(f"{self.seed} {prompt_key(example).hex()}")
        if not right or draw.random() >= self.oracle:
            return Lesson(wrong[:shown], absent if self.without == "absent" else None)
        chosen = [right[0], *wrong[: shown - 1]]
        draw.shuffle(chosen)
        cited = f"{answer_of(example)} [{chosen.index(right[0]) + 1}]" if self.cite else None
        return Lesson(chosen, cited)

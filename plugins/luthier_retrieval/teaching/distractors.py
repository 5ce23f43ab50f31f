"""Training with a relevant passage among distractors, or with distractors alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from luthier.api import Example, RecipeError, answer_of, prompt_key
from luthier_retrieval.chunking import Passage
from luthier_retrieval.relevant import relevant_names
from luthier_retrieval.teaching import TrainingContext, TrainingPassages


class Distractors(TrainingPassages):
    """Show a relevant passage among retrieved distractors, in random order: RAFT (Zhang et al., 2024).

    A share `oracle` of the examples shows a relevant passage (the paper's oracle document); the others show distractors
    alone, and learn to abstain (`without: absent`) or to answer from memory, as in the paper (`without: answer`). With
    `cite` the answer ends with the number of the relevant passage. Examples without `relevant` documents show the
    retrieved passages. `seed` and the prompt determine every draw.
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
        self, example: Example, retrieved: Sequence[Passage], relevant: Sequence[Passage], most: int, absent: str
    ) -> TrainingContext:
        names = set(relevant_names(example))
        distractors = [passage for passage in retrieved if names.isdisjoint(passage.documents)]
        if not names:
            return TrainingContext(distractors[:most])
        draw = random.Random(f"{self.seed} {prompt_key(example).hex()}")
        if not relevant or draw.random() >= self.oracle:
            return TrainingContext(distractors[:most], absent if self.without == "absent" else None)
        shown = [relevant[0], *distractors[: most - 1]]
        draw.shuffle(shown)
        cited = f"{answer_of(example)} [{shown.index(relevant[0]) + 1}]" if self.cite else None
        return TrainingContext(shown, cited)

"""How sure is a classifier that the answer is of the kind that is wanted?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.api import Messages, RecipeError, classification_question

if TYPE_CHECKING:
    from luthier.api import Artifact


class Classifier:
    """The chance that an earlier run gives `wanted` among `labels` as what to say of the answer.

    The run is asked as it was trained: `instruction` with the answer in place of `{text}`, or behind a blank line.
    """

    in_process = True

    def __init__(self, *, path: str, labels: list[str], wanted: str, instruction: str = "") -> None:
        if wanted not in labels:
            raise RecipeError(f"{wanted!r} is none of the labels {', '.join(labels)}.", where="method.reward.wanted")
        self.path, self.labels, self.wanted, self.instruction = path, labels, wanted, instruction

    @cached_property
    def _run(self) -> Artifact:
        from luthier.api import load

        return load(self.path)

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        shown = [[{"role": "user", "content": classification_question(self.instruction, answer)}] for answer in answers]
        scores = self._run.score_labels(shown, self.labels).astype(np.float64)
        chances = np.exp(scores - scores.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        return [float(chance) for chance in chances[:, self.labels.index(self.wanted)]]

"""The validation score of a prompt: one score without an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.contracts.examples import Example
from luthier.contracts.prompt import Prompt, PromptScorer, PromptScores
from luthier.errors import DataError, RecipeError
from luthier.evaluation.bootstrap import ratio
from luthier.evaluation.questions import questions

if TYPE_CHECKING:
    from luthier.contracts.sampling import Sampling
    from luthier.evaluation.evaluation import Evaluation
    from luthier.inference.predictor import NetworkPredictor


class ValidationPromptScorer(PromptScorer):
    """The score `name` of the evaluation's task, or the loss, on the validation examples in a random order.

    The sign of a score is flipped where lower is better. Raises DataError without examples.
    """

    def __init__(
        self, evaluation: Evaluation, predictor: NetworkPredictor, examples: Sequence[Example], name: str
    ) -> None:
        if not examples:
            raise DataError(
                "There is no validation split to choose a prompt on.",
                hint="Hold some of the data out for it: data.splits.validation=0.2.",
            )
        if name != "loss" and name not in evaluation.task.metrics:
            known = ", ".join(["loss", *evaluation.task.metrics])
            raise RecipeError(f"A prompt cannot be chosen by {name!r}.", where="score", hint=f"Use one of {known}.")
        order = np.random.default_rng(evaluation.seed).permutation(len(examples)).tolist()
        self.examples = [examples[place] for place in order]
        self.evaluation, self.predictor, self.name, self.size = evaluation, predictor, name, len(examples)

    def __call__(self, prompt: Prompt, count: int) -> float:
        return self.score(prompt, self.examples[:count]).score

    def score(self, prompt: Prompt, examples: Sequence[Example]) -> PromptScores:
        predictor = replace(self.predictor, prompt=prompt)
        if self.name == "loss":
            losses = np.asarray(predictor.measured(examples)["loss"], dtype=np.float64)
            return PromptScores(-float(ratio(losses.sum(0))), [("", -float(one)) for one in ratio(losses)])
        task = self.evaluation.task
        metric = task.metrics[self.name]
        by_place = {
            place: question for place, example in enumerate(examples) for question in questions([example], prompt)
        }
        attempts = task(predictor, list(by_place.values()), questions(self.examples, prompt)).attempts
        statistics, sign = metric.statistics(attempts), 1.0 if metric.better == "higher" else -1.0
        values = zip(by_place, attempts, metric.reduce(statistics).tolist(), strict=True)
        results = {place: (attempt.output, sign * value) for place, attempt, value in values}
        score = sign * float(metric.reduce(statistics.sum(0)))
        return PromptScores(score, [results.get(place) for place in range(len(examples))])

    def generate(self, conversations: Sequence[Sequence[dict[str, Any]]], sampling: Sampling) -> list[str]:
        return [answer.spoken for answer in self.predictor.answers(conversations, sampling)]

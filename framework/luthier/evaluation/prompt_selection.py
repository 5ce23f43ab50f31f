"""How well a model answers with one prompt or another: one score alone, without intervals."""

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
    """Gives the score `name` of the evaluation's task, or the loss, on examples in an order by chance.

    A score of which less is better has its sign turned. DataError where there is no example.
    """

    def __init__(
        self, evaluation: Evaluation, subject: NetworkPredictor, examples: Sequence[Example], name: str
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
        self.evaluation, self.subject, self.name, self.size = evaluation, subject, name, len(examples)

    def __call__(self, prompt: Prompt, count: int) -> float:
        return self.score(prompt, self.examples[:count]).score

    def score(self, prompt: Prompt, examples: Sequence[Example]) -> PromptScores:
        subject = replace(self.subject, prompt=prompt)
        if self.name == "loss":
            losses = np.asarray(subject.measured(examples)["loss"], dtype=np.float64)
            return PromptScores(-float(ratio(losses.sum(0))), [("", -float(one)) for one in ratio(losses)])
        task = self.evaluation.task
        metric = task.metrics[self.name]
        asked = {place: turn for place, example in enumerate(examples) for turn in questions([example], prompt)}
        made = task(subject, list(asked.values()), questions(self.examples, prompt)).made
        statistics, sign = metric.statistics(made), 1.0 if metric.better == "higher" else -1.0
        each = zip(asked, made, metric.reduce(statistics).tolist(), strict=True)
        known = {place: (attempt.output, sign * value) for place, attempt, value in each}
        score = sign * float(metric.reduce(statistics.sum(0)))
        return PromptScores(score, [known.get(place) for place in range(len(examples))])

    def generate(self, conversations: Sequence[Sequence[dict[str, Any]]], sampling: Sampling) -> list[str]:
        return [answer.text for answer in self.subject.answers(conversations, sampling)]

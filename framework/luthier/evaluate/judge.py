"""How well a model answers with one prompt or another: one score alone, without intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from luthier.errors import DataError, RecipeError
from luthier.evaluate.bootstrap import ratio
from luthier.evaluate.turns import turns
from luthier.parts import Example, Prompt, PromptJudge

if TYPE_CHECKING:
    from luthier.evaluate.evaluation import Evaluation
    from luthier.subject import Subject


class Judge(PromptJudge):
    """Gives the score `name` of the evaluation's task, or the loss, on examples in an order by chance.

    A score of which less is better has its sign turned. DataError where there is no example.
    """

    def __init__(self, evaluation: Evaluation, subject: Subject, examples: Sequence[Example], name: str) -> None:
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
        self.evaluation, self.subject, self.name, self.most = evaluation, subject, name, len(examples)

    def __call__(self, prompt: Prompt, count: int) -> float:
        subject, asked = replace(self.subject, prompt=prompt), self.examples[:count]
        if self.name == "loss":
            return -float(ratio(np.asarray(subject.measured(asked)["loss"], dtype=np.float64).sum(0)))
        task = self.evaluation.task
        metric = task.metrics[self.name]
        made = task(subject, turns(asked, prompt), turns(self.examples, prompt)).made
        value = float(metric.reduce(metric.statistics(made).sum(0)))
        return value if metric.better == "higher" else -value

"""Models that choose what they are made of by how well that does on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from luthier.contracts import Choosing, Example
from luthier.errors import DataError
from luthier.inference.predictor import Subject

if TYPE_CHECKING:
    from luthier.workflows.run import Run


def choose(run: Run) -> None:
    """Let the run's model choose, before anything is measured; the test split is never shown to it."""
    if not isinstance(run.model, Choosing):
        return
    examples = run.data.examples("validation")
    if not examples:
        raise DataError(
            f"{type(run.model).__name__} chooses on the validation split, and the data has none.",
            hint="Hold some examples out for it: data.splits.validation=0.1.",
        )
    run.console.say("choosing on the validation split …")
    run.model.choose(Judge(run, examples))
    if not run.data.examples("test"):
        run.method.warnings.append("The model was chosen on the examples that it is measured on: there are no others.")


@dataclass
class Judge:
    """The recipe's score of a network on the validation split, the higher the better."""

    run: Run
    examples: Sequence[Example]

    def __call__(self, network: nn.Module) -> float:
        run, method = self.run, self.run.method
        method.take(network.to(run.trainer.device).eval())
        try:
            subject = Subject(network, run.model.tokenizer, run.prompt, method, run.trainer.autocast)
            score = run.evaluation(subject, {"validation": self.examples})[str(run.composition.config.score)]
        finally:
            del method.network  # the run loads its own
        return score.value if score.better == "higher" else -score.value

"""Model selection by the recipe's score on the validation split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from luthier.contracts.examples import Example
from luthier.contracts.model import SelectsItself
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.model import Model
    from luthier.data.module import Data
    from luthier.evaluation.evaluation import Evaluation
    from luthier.inference.predictor import NetworkPredictor
    from luthier.training.method import Method


def select(
    model: Model, data: Data, method: Method, evaluation: Evaluation, score: str,
    predictor: Callable[[nn.Module], NetworkPredictor], say: Callable[[str], None],
) -> None:  # fmt: skip
    """Let a model that selects itself do so before the evaluation; it never sees the test split.

    `predictor` wraps a network on the run's device. Raises DataError without a validation split.
    """
    if not isinstance(model, SelectsItself):
        return
    examples = data.examples("validation")
    if not examples:
        raise DataError(
            f"{type(model).__name__} chooses on the validation split, and the data has none.",
            hint="Hold some examples out for it: data.splits.validation=0.1.",
        )
    say("choosing on the validation split …")
    model.choose(ValidationScore(method, evaluation, score, examples, predictor))
    if not data.examples("test"):
        method.warnings.append("The model was chosen on the examples that it is measured on: there are no others.")


@dataclass(frozen=True)
class ValidationScore:
    """The score `name` of a network on the validation split; its sign is flipped where lower is better."""

    method: Method
    evaluation: Evaluation
    name: str
    examples: Sequence[Example]
    predictor: Callable[[nn.Module], NetworkPredictor]

    def __call__(self, network: nn.Module) -> float:
        predictor = self.predictor(network)
        self.method.take(predictor.network.eval())
        try:
            score = self.evaluation(predictor, {"validation": self.examples})[self.name]
        finally:
            self.method.unload()  # the run loads its own
        return score.value if score.better == "higher" else -score.value

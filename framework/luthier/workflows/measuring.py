"""What a run measures: its network as it is now, on all ranks that are connected, and what it knows already."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from luthier.contracts.scores import Score
from luthier.errors import DataError, NumericsError
from luthier.evaluation.scores import NotWhole, Scores
from luthier.inference.predictor import NetworkPredictor
from luthier.records.ranks import is_first_rank
from luthier.training.devices import Devices
from luthier.workflows.parts import Parts

if TYPE_CHECKING:
    from torch import nn

    from luthier.records.folder import RunFolder

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Measuring:
    """Measures the network of a run, and keeps what it has measured in the run's folder.

    `score` is the name of the recipe's score. `say` prints a line.
    """

    parts: Parts
    devices: Devices
    folder: RunFolder
    score: str
    say: Callable[[str], None]

    @property
    def predictor(self) -> NetworkPredictor:
        """The whole network as it is now, where this process holds it."""
        return self.predictor_of(self.parts.method.network.to(self.devices.home))

    def predictor_of(self, network: nn.Module) -> NetworkPredictor:
        parts = self.parts
        return NetworkPredictor(network, parts.model.tokenizer, parts.prompt, parts.method, parts.trainer.autocast)

    def known(self, name: str) -> Scores | None:
        """What the folder holds under a name, such as `before`; None where that is to be measured."""
        saved = self.folder.scores / name
        if saved.exists():
            try:
                return Scores.load(saved, self.parts.evaluation.reductions(self.parts.method))
            except NotWhole as error:
                self.say(f"warning: {error.message} They are measured again.")
        return None

    def evaluated(self, name: str, *, anew: bool = False, untouched: bool = False) -> Scores | None:
        """All scores of the network as it is now, or as it is loaded `anew`; None on other ranks than the first.

        `untouched` says that it is not trained by this run.
        """
        if not (is_first_rank() or self.devices.are_connected):
            return None
        method, data = self.parts.method, self.parts.data
        if anew or not method.is_loaded:
            method.load()
        split = "test" if data.examples("test") else "validation"
        if is_first_rank():
            self.say(f"measuring {name} on the {split} split …")
        scores = self._measured(
            lambda predictor: self.parts.evaluation(predictor, {split: data.examples(split)}, untouched=untouched)
        )
        if scores is not None:
            scores.save(self.folder.scores / name)
        return scores

    def validation_score(self) -> Score | None:
        """The recipe's score of the network as it is now, on the validation split; NaN where losses are not finite.

        None on other ranks than the first, which compute their shares.
        """
        evaluation, examples = self.parts.evaluation, self.parts.data.examples("validation")
        try:
            return self._measured(lambda predictor: evaluation.measure(predictor, self.score, examples))
        except NumericsError:
            return Score(math.nan, math.nan, math.nan, 0, evaluation.better(self.score, self.parts.method))

    def refuse_unheld_out(self) -> None:
        """DataError where no example is held out to measure on."""
        data = self.parts.data
        if not data.examples("test") and not data.examples("validation"):
            raise DataError(
                f"No example is held out to measure on: all {len(data.examples('train')):,} are for training.",
                where="data",
                hint="Hold some out with data.splits.test=0.1 (1: all of them), or leave measuring out of the stages.",
            )

    def refuse_unscored(self, scores: Scores) -> None:
        """DataError where the recipe's score could be computed of no example."""
        if self.score not in scores.measurements:
            raise DataError(
                f"Nothing could be scored: {self.score!r} has a value for none of the examples that were measured.",
                where=str(self.folder.path),
                hint="The log and the counts of the report say what became of each.",
            )

    def _measured(self, measure: Callable[[NetworkPredictor], Measured]) -> Measured | None:
        """What is measured on the first rank, while all that are connected compute; None on the others."""
        if self.devices.are_connected:
            network = self.devices.place(self.parts.method.network)
            return self.devices.lead(self.predictor_of(network), measure)
        return measure(self.predictor) if is_first_rank() else None

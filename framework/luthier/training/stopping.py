"""What ends a training before its last step: held-out data that gets no better, a loss that runs away."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from luthier.errors import RecipeError
from luthier.records.validations import HELD_OUT_LOSS, ValidationResult, comparable, gain, words

AVERAGED = 10
"""Optimizer steps whose mean training loss is looked at: one batch alone may be a hard one."""


class TrainingLoss:
    """The mean loss of the last `AVERAGED` optimizer steps, and the lowest that it was."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=AVERAGED)
        self.lowest = math.inf

    @property
    def last(self) -> float:
        """Of the latest step; NaN where its loss or gradient was not finite."""
        return self._recent[-1] if self._recent else 0.0

    @property
    def mean(self) -> float:
        """NaN before there were `AVERAGED` steps."""
        return sum(self._recent) / AVERAGED if len(self._recent) == AVERAGED else math.nan

    def add(self, loss: float) -> None:
        self._recent.append(loss)
        if self.mean < self.lowest:
            self.lowest = self.mean

    def state_dict(self) -> dict[str, Any]:
        return {"recent": list(self._recent), "lowest": self.lowest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._recent, self.lowest = deque(state["recent"], maxlen=AVERAGED), state["lowest"]


class Stop(Protocol):
    """Decides from all that was measured, and from nothing else, so that a run that is resumed decides the same."""

    needs_validation: bool
    """Whether it cannot do without held-out data."""
    ends_divergence: bool
    """Whether a training loss or gradient that is not finite ends the training, in place of the run."""
    fewest_validations: int
    """How many validations it takes at least until it ends a training for what they measured; 0: it never does."""

    def reason(self, results: Sequence[ValidationResult], training: TrainingLoss) -> str:
        """Why the training ends now, as the rest of a sentence; empty where it goes on."""

    def terms(self, monitor: str) -> list[str]:
        """When it would end a training that monitors this value, a clause each."""


class Never:
    """Only `epochs` and `max_steps` end the training."""

    needs_validation = ends_divergence = False
    fewest_validations = 0

    def reason(self, results: Sequence[ValidationResult], training: TrainingLoss) -> str:
        return ""

    def terms(self, monitor: str) -> list[str]:
        return []


class EarlyStopping:
    """Stop where held-out data gets no better (Prechelt, 1998), or where the loss diverges.

    The training ends after `patience` validations in a row whose monitored value (`trainer.monitor`) is not better than
    the best so far by more than `min_delta`, an absolute change in the unit of that value; and where that value is not
    finite. With `divergence` it also ends where the held-out loss, or the mean training loss of ten optimizer steps, is
    above the lowest that it was by more than this, in the unit of the loss; and where a training loss or gradient is
    not finite, before it reaches the weights, which without `divergence` ends the run with exit code 4. So does a
    training that ends here with weights that give no finite loss, unless `trainer.keep_best` has better ones. Null for
    one of the two: it ends no training.
    """

    def __init__(self, *, patience: int | None = 3, min_delta: float = 0.0, divergence: float | None = None) -> None:
        if patience is None and divergence is None:
            raise RecipeError(
                "Neither trainer.stop.patience nor trainer.stop.divergence is set, so nothing would stop the training.",
                where="trainer.stop",
                hint="Set one of them, or use trainer/stop=never.",
            )
        if patience is not None and patience < 1:
            raise RecipeError(
                f"trainer.stop.patience is {patience}.", where="trainer.stop.patience", hint="Use 1 or more, or null."
            )
        if not 0 <= min_delta < math.inf:
            raise RecipeError(
                f"trainer.stop.min_delta is {min_delta}.", where="trainer.stop.min_delta", hint="Use 0 or more."
            )
        if min_delta and patience is None:
            raise RecipeError(
                f"trainer.stop.min_delta is {min_delta}, and without trainer.stop.patience it decides nothing.",
                where="trainer.stop.min_delta",
                hint="Set trainer.stop.patience, too.",
            )
        if divergence is not None and not 0 < divergence < math.inf:
            raise RecipeError(
                f"trainer.stop.divergence is {divergence}.",
                where="trainer.stop.divergence",
                hint="Use more than 0, or null.",
            )
        self.patience, self.min_delta, self.divergence = patience, min_delta, divergence
        self.needs_validation, self.ends_divergence = patience is not None, divergence is not None
        self.fewest_validations = patience + 1 if patience is not None else 0

    def reason(self, results: Sequence[ValidationResult], training: TrainingLoss) -> str:
        return self._diverged(results, training) or self._exhausted(results)

    def _exhausted(self, results: Sequence[ValidationResult]) -> str:
        if self.patience is None or not results:
            return ""
        last, best, waited = results[-1], None, 0
        if not math.isfinite(last.value):
            return f"{words(last.monitor)} was {last.value} at step {last.step}"
        for one in comparable(results):
            if math.isfinite(one.value) and (best is None or gain(one.value, best.value, one.better) > self.min_delta):
                best, waited = one, 0
            else:
                waited += 1
        if best is None or waited < self.patience:
            return ""
        enough = f" by more than {self.min_delta:g}" if self.min_delta else ""
        return (
            f"{words(last.monitor)} has not got better than the {best.value:.4g} of step {best.step}{enough} in "
            f"{self.patience} validation{'s' if self.patience > 1 else ''}"
        )

    def _diverged(self, results: Sequence[ValidationResult], training: TrainingLoss) -> str:
        if self.divergence is None:
            return ""
        if not math.isfinite(training.last):
            return "the training loss or its gradient was not finite, and that step changed no weight"
        if training.mean > training.lowest + self.divergence:
            return (
                f"the mean training loss of {AVERAGED} steps was {training.mean:.4g}, more than {self.divergence:g} "
                f"above its lowest, {training.lowest:.4g}"
            )
        losses = [one for one in results if HELD_OUT_LOSS in one.measured]
        if not losses or losses[-1] is not results[-1]:
            return ""
        last = losses[-1].measured[HELD_OUT_LOSS]
        if not math.isfinite(last):
            return f"the held-out loss was {last} at step {losses[-1].step}"
        lowest = min(one.measured[HELD_OUT_LOSS] for one in losses if math.isfinite(one.measured[HELD_OUT_LOSS]))
        if last <= lowest + self.divergence:
            return ""
        return (
            f"the held-out loss was {last:.4g} at step {losses[-1].step}, more than {self.divergence:g} above its "
            f"lowest, {lowest:.4g}"
        )

    def terms(self, monitor: str) -> list[str]:
        terms = []
        if self.patience is not None:
            enough = f" by more than {self.min_delta:g}" if self.min_delta else ""
            times = "validation" if self.patience == 1 else f"{self.patience} validations in a row"
            terms += [f"{words(monitor)} has not got better{enough} in {times}"]
        if self.divergence is not None:
            terms += [f"the training or held-out loss is not finite or more than {self.divergence:g} above its lowest"]
        return terms

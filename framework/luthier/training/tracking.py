"""Experiment trackers: their contract, the answer `none`, and what keeps them from stopping a run."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from luthier.errors import RecipeError
from luthier.plugins.blame import told
from luthier.plugins.returned import misreturned
from luthier.training.guarded_logger import GuardedLogger, within

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from luthier.records.folder import RunFolder

log = logging.getLogger(__name__)

DEADLINE = 60.0
"""Seconds in which a tracker is imported and built, and in which it gives its loggers."""


class Tracker(Protocol):
    """Where the figures of a run are logged, beside its metrics.jsonl.

    - *Given*: the folder of the run, below which everything that is written belongs. The loggers are then given
      `log_hyperparams(recipe)` once, the resolved recipe as a dictionary without secrets; `log_metrics(metrics, step)`
      of each `trainer.log_every`th step, of each validation, and at the end of the scores as `after/NAME`;
      `log_samples(samples, step)`, the answers of the evaluation as dictionaries with `prompt`, `answer` and
      `reference`, without a step (None), and what `method=grpo` samples at one;
      `log_artifact(folder)`, the artifact; `finalize` and `close`. What a logger lacks of these is left out.
    - *Returns*: a list of Lightning loggers. `GuardedLogger(title, make)` makes one when it is first told something,
      so that a library of seconds is imported by nobody else.
    - *Called*: when the stage `fit` begins, and nowhere in a run that only measures.
    - *Ranks*: `__call__` on every rank; loggers are told on the first alone.
    - *Raises*: anything, in its constructor, its call and its loggers: the run goes on, says so in a sentence, and the
      report counts the faults. A RecipeError of the constructor refuses the recipe before anything is read.
    - *Resume*: a resumed run calls it again with the same folder; steps go on where the checkpoint was.
    - *Nested*: a positional parameter that a nested answer fills, `/tracking@NAME: csv` in the defaults of its option
      file, as `tracking=several` has.
    """

    @abstractmethod
    def __call__(self, folder: RunFolder) -> list[Logger]:
        """The loggers of a run in this folder."""


class NoTracking(Tracker):
    """No tracker."""

    def __call__(self, folder: RunFolder) -> list[Logger]:
        return []


class GuardedTracker:
    """A tracker that cannot stop a run: not while it is built, nor when it makes its loggers, nor by what they do.

    `title` names it in warnings; `build` makes it. RecipeError of `build` is raised: its settings are wrong.
    """

    def __init__(self, title: str, build: Callable[[], Tracker]) -> None:
        self.title = title
        self.loggers: list[GuardedLogger] = []
        self._faults: list[str] = []
        self._told = 0
        self._tracker: Tracker | None = None
        try:
            self._tracker = within(DEADLINE, build)
        except Exception as error:
            if isinstance(error.__cause__, RecipeError):
                raise error.__cause__ from None
            self._fault("could not be built", error)

    def __call__(self, folder: RunFolder) -> list[GuardedLogger]:
        """The loggers of a run in this folder, none where the tracker fails."""
        tracker = self._tracker
        if tracker is not None:
            try:
                self.loggers = within(DEADLINE, lambda: _loggers(tracker, folder))
            except Exception as error:
                self._fault("gave no loggers", error)
        return self.loggers

    @property
    def faults(self) -> list[str]:
        """What failed so far, a sentence each, of the tracker and of its loggers."""
        return [*self._faults, *(fault for logger in self.loggers for fault in logger.faults)]

    def news(self) -> list[str]:
        """The faults since the last call."""
        before, self._told = self._told, len(self.faults)
        return self.faults[before:]

    def warning(self) -> str:
        """The number of faults and the first of them, for the report; empty where there is none."""
        faults = self.faults
        times = f"{len(faults)} faults of the tracker; the first: " if len(faults) > 1 else ""
        return f"{times}{faults[0]}" if faults else ""

    def _fault(self, what: str, error: BaseException) -> None:
        text = told(error.__cause__ or error, self._tracker)
        self._faults.append(f"Tracker {self.title} {what}: {text}; the run goes on, metrics.jsonl has everything.")
        log.warning(self._faults[-1])
        log.debug("The traceback:", exc_info=error)


def _loggers(tracker: Tracker, folder: RunFolder) -> list[GuardedLogger]:
    from pytorch_lightning.loggers import Logger

    given: Any = tracker(folder)
    loggers = list(given) if isinstance(given, Iterable) else [given]
    if not isinstance(given, Iterable) or not all(isinstance(logger, Logger) for logger in loggers):
        raise misreturned(tracker, "a list of loggers of Lightning", given)
    return [GuardedLogger.around(logger) for logger in loggers]


def finish(
    loggers: Iterable[GuardedLogger], scores: Mapping[str, float], samples: Sequence[Mapping[str, Any]], artifact: Path
) -> None:
    """Log what is known only at the end (scores, samples as `prompt`, `answer`, `reference`, the model), then close."""
    for logger in loggers:
        if scores:
            logger.log_metrics({f"after/{name}": value for name, value in scores.items()})
            logger.log_samples([dict(sample) for sample in samples])
        if artifact.is_dir():
            logger.log_artifact(artifact)
        logger.close()

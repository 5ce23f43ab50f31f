"""A logger that cannot stop a run: errors and delays of trackers are contained."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from luthier.disk.redaction import redact
from luthier.plugins.blame import told
from luthier.plugins.returned import misreturned

PATIENCE = 3

log = logging.getLogger(__name__)


class GuardedLogger(Logger):
    """A tracker that cannot stop a run; it is made by `make` at the first call, `title` names it in warnings.

    It is not to be inherited, as a method of a subclass could stop a run: what is special is the logger of `make`.

    A tracker that is not ready after `deadline` seconds, or fails `PATIENCE` times, is left alone for the rest of the
    run, with a warning that says so; metrics.jsonl has everything. Only the first rank talks to it. Secrets are
    taken out of what it is told.
    """

    def __init_subclass__(cls, **more: Any) -> None:
        raise TypeError(f"{cls.__qualname__} inherits GuardedLogger, and must be given to one by `make`")

    def __init__(self, title: str, make: Callable[[], Logger], *, deadline: float = 10.0) -> None:
        super().__init__()
        self.title, self.deadline = title, deadline
        self.failures = 0  # calls of the tracker that failed
        self.faults: list[str] = []  # what failed, a sentence each
        self._make = make
        self._logger: Logger | None = None
        self._step: int | None = None

    @classmethod
    def around(cls, logger: Logger) -> GuardedLogger:
        """Any logger, guarded; one that is guarded already stays as it is."""
        return logger if isinstance(logger, cls) else cls(type(logger).__name__, lambda: logger)

    @property
    def name(self) -> str:
        """The tracker's title, as Lightning asks for it."""
        return self.title

    @property
    def version(self) -> str:
        """Empty: a run's folder names it."""
        return ""

    @property
    def silent(self) -> bool:
        """Whether the tracker was given up."""
        return self.failures >= PATIENCE

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Numbers of a step; without one, of the last that was told."""
        self._step = self._step if step is None else step
        self._try("log_metrics", metrics, self._step)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *more: Any, **named: Any) -> None:
        """Nothing: what Lightning knows of a method are no settings; `log_recipe` gives the recipe."""

    @rank_zero_only
    def log_recipe(self, recipe: dict[str, Any]) -> None:
        """The resolved recipe without secrets, as `log_hyperparams` of the tracker."""
        self._try("log_hyperparams", recipe)

    @rank_zero_only
    def log_samples(self, samples: Sequence[dict[str, Any]], step: int | None = None) -> None:
        """A table of texts that the model wrote, one dictionary for each, all with the same keys."""
        self._try("log_samples", samples, step)

    @rank_zero_only
    def log_artifact(self, folder: Path) -> None:
        """The customised model's folder, where the tracker was told to keep models."""
        self._try("log_artifact", folder)

    @rank_zero_only
    def save(self) -> None:
        """Have the tracker write what it holds, once it was made."""
        if self._logger is not None:
            self._try("save")

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the tracker's session after training, once it was made."""
        if self._logger is not None:
            self._try("finalize", status)

    @rank_zero_only
    def close(self) -> None:
        """The run is over, evaluation included."""
        if self._logger is not None:
            self._try("finalize", "success")
            self._try("close")

    def _try(self, act: str, *arguments: Any) -> None:
        if self.silent:
            return
        try:
            if self._logger is None:
                self._logger = within(self.deadline, self._made)
            within(self.deadline, lambda: self._tell(act, *map(redact, arguments)))
        except Exception as error:
            self.failures = PATIENCE if self._logger is None or isinstance(error, TimeoutError) else self.failures + 1
            last = "it is told nothing more" if self.silent else "the run goes on"
            text = told(error.__cause__ or error, self._logger)
            fault = f"Tracker {self.title} failed in {act}: {text}; {last}, metrics.jsonl has everything."
            self.faults.append(fault)
            log.warning(fault)

    def _made(self) -> Logger:
        logger = self._make()
        if not isinstance(logger, Logger):
            raise misreturned(self._make, "a logger of Lightning", logger)
        return logger

    def _tell(self, act: str, *arguments: Any) -> None:
        if (method := getattr(self._logger, act, None)) is not None:
            method(*arguments)


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """What `call` gives; RuntimeError of what it raises, an exit too; TimeoutError if it takes longer.

    A call that takes longer is left behind in its thread.
    """
    result: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name="luthier-tracker")
    thread.start()
    thread.join(seconds)
    if failed:
        raise RuntimeError(f"{type(failed[0]).__name__}: {failed[0]}") from failed[0]
    if not result:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return result[0]

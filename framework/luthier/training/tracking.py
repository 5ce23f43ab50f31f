"""Experiment trackers: the answer `none`, and what is logged at the end. metrics.jsonl is always written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luthier.records.folder import RunFolder
    from luthier.training.guarded_logger import GuardedLogger


class NoTracking:
    """No tracker. A tracker gives a list of Lightning loggers when it is called with the run's folder."""

    def __call__(self, folder: RunFolder) -> list[Any]:
        return []


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

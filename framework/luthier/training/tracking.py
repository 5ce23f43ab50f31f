"""Who is told? The smallest answer; the run folder's own metrics.jsonl is always written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luthier.evaluation.scores import Scores
    from luthier.records.folder import RunFolder
    from luthier.training.guarded_logger import Guarded


class Nobody:
    """No tracker. A tracker gives a list of Lightning loggers when it is called with the run's folder."""

    def __call__(self, folder: RunFolder) -> list[Any]:
        return []


def say_goodbye(loggers: Iterable[Guarded], scores: Scores | None, artifact: Path) -> None:
    """Tell trackers what is known only at the end: the scores, what the model wrote, the model; then close them."""
    for logger in loggers:
        if scores is not None:
            logger.log_metrics({f"after/{name}": score.value for name, score in scores.items()})
            logger.log_samples(
                [
                    {
                        "prompt": sample.conversation[-1].get("content"),
                        "answer": sample.output,
                        "reference": sample.reference,
                    }
                    for sample in scores.samples
                ]
            )
        if artifact.is_dir():
            logger.log_artifact(artifact)
        logger.close()

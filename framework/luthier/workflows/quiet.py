"""Warnings of libraries that do not help a user, listed one by one, so that nothing else is silenced."""

from __future__ import annotations

import logging
import warnings

SILENCED_WARNINGS = (
    r".*LeafSpec.*is deprecated",
    r".*is_gradient_checkpointing.*is deprecated",
    r".*Total length of `list` across ranks is zero",
    r".*does not have many workers",
    r".*`tensorboardX` has been removed",
    r".*Starting from v1\.9\.0",
    r".*Checkpoint directory .* exists and is not empty",
    r".*Found \d+ module\(s\) in eval mode at the start of training",
)


def silence_libraries() -> None:
    """Silence these warnings, the progress bars of transformers, Lightning's messages below warnings, and bitsandbytes.

    bitsandbytes recommends fetching a kernel from the hub whenever it is imported on a CPU.
    """
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for pattern in SILENCED_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)
    for name in ("pytorch_lightning", "lightning_fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

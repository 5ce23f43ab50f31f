"""Warnings of libraries that do not help a user, listed one by one, so that nothing else is silenced."""

from __future__ import annotations

import logging
import sys
import warnings

SILENCED_WARNINGS = (
    r".*LeafSpec.*is deprecated",
    r".*is_gradient_checkpointing.*is deprecated",
    r".*Total length of `list` across ranks is zero",
    r".*does not have many workers",
    r".*`tensorboardX` has been removed",
    r".*Starting from v1\.9\.0",
    r".*Checkpoint directory .* exists and is not empty",
    r".*a tied layer is part of the adapter",  # which is untied where it is merged
    r".*Found \d+ module\(s\) in eval mode at the start of training",
    r"Failed to load the CUDA extension",  # BOFT's faster kernel
    r"lora with eva initialization used with low_cpu_mem_usage",
    r"input of type .*ForwardPass.* could not be moved",  # EVA's batches are where the network is
    r"The following rank_pattern keys did not match any targeted module.*\.lora_E",  # AdaLoRA's own reading has them
)


LIBRARIES = (
    "accelerate", "bitsandbytes", "datasets", "diffusers", "huggingface_hub", "hydra", "lightning", "lightning_fabric",
    "numpy", "omegaconf", "optuna", "pandas", "peft", "pyarrow", "pytorch_lightning", "safetensors", "sklearn",
    "tokenizers", "torch", "torchmetrics", "transformers", "trl",
)  # fmt: skip
"""Libraries whose announcements of what will change concern us, and not who trains a model."""


def silence_warnings() -> None:
    """Silence the warnings above, announcements of the libraries, and a recommendation of bitsandbytes.

    bitsandbytes recommends fetching a kernel from the hub whenever it is imported on a CPU. Nothing is imported here.
    What Python's own options (`-W`, PYTHONWARNINGS) ask to see is shown.
    """
    if not sys.warnoptions:
        for pattern in SILENCED_WARNINGS:
            warnings.filterwarnings("ignore", message=pattern)
        modules = rf"({'|'.join(LIBRARIES)})(\.|\Z)"
        for category in (FutureWarning, DeprecationWarning, PendingDeprecationWarning):
            warnings.filterwarnings("ignore", category=category, module=modules)
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def silence_libraries() -> None:
    """Silence warnings (`silence_warnings`), the progress bars of transformers, and Lightning's lesser messages."""
    from transformers.utils import logging as transformers_logging

    silence_warnings()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in ("pytorch_lightning", "lightning_fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)

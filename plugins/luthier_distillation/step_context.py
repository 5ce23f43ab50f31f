"""What the preparation of an optimizer step needs of the run that trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from luthier.api import Data

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class StepContext:
    """The state of a run at the beginning of an optimizer step of the data.

    `network` is the student in its current state. `teacher` gives the teacher that generates sequences, with its
    tokenizer, and loads it at its first call. `data` holds the examples and the seed of the random generators.
    """

    network: nn.Module
    tokenizer: PreTrainedTokenizerBase
    teacher: Callable[[], tuple[nn.Module, PreTrainedTokenizerBase]]
    data: Data

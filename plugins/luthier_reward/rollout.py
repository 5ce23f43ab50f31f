"""Sampling answers to prompts with the network that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.api import Answer, Model, SampledRollout, Sampling, generate_from_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(kw_only=True, eq=False)
class TransformersRollout(SampledRollout):
    """Sample from the network that is trained.

    The prompt of a group is computed once, and finished answers leave the batch. Tokens are sampled at `temperature`
    from the `top_k` most likely ones (0: all) of the smallest set whose probability reaches `top_p`. An answer ends at
    the model's stop tokens, before any of the texts in `stop`, or after `max_new_tokens`.
    """

    _tokenizer: PreTrainedTokenizerBase | None = field(default=None, init=False, repr=False)

    def use(self, model: Model, adapted: bool) -> None:
        self._tokenizer = model.tokenizer

    def __call__(
        self, network: nn.Module, prompts: Sequence[NDArray[np.int32]], numbers: Sequence[int], count: int, seed: int
    ) -> list[Answer]:
        return self._generated(network, prompts, replace(self.sampling, seed=seed, num_samples=count), numbers)

    def greedy(self, network: nn.Module, prompts: Sequence[NDArray[np.int32]]) -> list[Answer]:
        return self._generated(network, prompts, self._greedy, None)

    def _generated(
        self,
        network: nn.Module,
        prompts: Sequence[NDArray[np.int32]],
        sampling: Sampling,
        numbers: Sequence[int] | None,
    ) -> list[Answer]:
        """In the dtype of the weights: casting all of them for one token at a time costs more than it saves."""
        assert self._tokenizer is not None, "use comes first"
        with torch.autocast(next(network.parameters()).device.type, enabled=False):
            return generate_from_tokens(network, self._tokenizer, prompts, sampling, numbers=numbers)

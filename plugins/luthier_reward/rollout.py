"""How the model is made to answer: `method/rollout`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.api import Answer, Model, RecipeError, Sampling, generate_from_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Rollout(Protocol):
    """Writes answers to prompts of token ids, several to each, all of the first one first.

    What is drawn follows from the weights, `seed` and the `numbers` that prompts are known by; each answer says in
    `drawn` how likely its tokens were by the probabilities that they were drawn with.
    """

    temperature: float
    max_new_tokens: int

    def __call__(
        self, network: nn.Module, prompts: Sequence[NDArray[np.int32]], numbers: Sequence[int], count: int, seed: int
    ) -> list[Answer]: ...

    def likeliest(self, network: nn.Module, prompts: Sequence[NDArray[np.int32]]) -> list[Answer]:
        """One answer to each prompt, always of the most probable token."""

    def use(self, model: Model, changed: bool) -> None:
        """Be told what the network comes from, and whether it is still so, before anything is written."""


class TransformersRollout:
    """Answer with the network that is trained, as it is: the prompt of a group is read once, finished answers leave.

    Tokens are drawn at `temperature` from the `top_k` likeliest (0: all) of the smallest set whose chances reach
    `top_p`; an answer ends at the model's stop tokens, before a text of `stop`, or after `max_new_tokens`.
    """

    def __init__(
        self,
        *,
        max_new_tokens: int = 128,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        stop: list[str] | None = None,
    ) -> None:
        if temperature <= 0:
            raise RecipeError(
                f"method.rollout.temperature is {temperature}: all answers to a prompt would be the same.",
                where="method.rollout.temperature",
                hint="Use 1, or a little less.",
            )
        self.temperature, self.max_new_tokens = temperature, max_new_tokens
        self.sampling = Sampling(max_new_tokens, temperature, top_p, top_k, tuple(stop or ()))
        self._tokenizer: PreTrainedTokenizerBase | None = None

    def use(self, model: Model, changed: bool) -> None:
        self._tokenizer = model.tokenizer

    def __call__(
        self, network: nn.Module, prompts: Sequence[NDArray[np.int32]], numbers: Sequence[int], count: int, seed: int
    ) -> list[Answer]:
        return self._written(network, prompts, replace(self.sampling, seed=seed, num_samples=count), numbers)

    def likeliest(self, network: nn.Module, prompts: Sequence[NDArray[np.int32]]) -> list[Answer]:
        return self._written(network, prompts, replace(self.sampling, temperature=0.0, top_p=1.0, top_k=0), None)

    def _written(
        self,
        network: nn.Module,
        prompts: Sequence[NDArray[np.int32]],
        sampling: Sampling,
        numbers: Sequence[int] | None,
    ) -> list[Answer]:
        """In the dtype of the weights: at one token a time, casting all of them costs more than it saves."""
        assert self._tokenizer is not None, "use comes first"
        with torch.autocast(next(network.parameters()).device.type, enabled=False):
            return generate_from_tokens(network, self._tokenizer, prompts, sampling, numbers=numbers)

"""Sampling settings, and the answer that is generated with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings. Temperature 0 is greedy decoding and needs no seed.

    Otherwise tokens are drawn at `temperature` from the `top_k` most probable (0: all) of the smallest set whose
    probability reaches `top_p` (nucleus sampling, Holtzman et al., 2020). An answer ends at a stop token of the model,
    before any of the texts in `stop`, or after `max_new_tokens`. `num_samples` answers are generated per prompt. The
    tokens drawn depend on the seed and on the numbers of conversation and sample, not on the rest of the batch.
    RecipeError for a value out of range.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int = 0
    """Of the draws."""
    num_samples: int = 1

    def __post_init__(self) -> None:
        complaints = {
            "max_new_tokens": self.max_new_tokens < 1 and "must be at least 1",
            "temperature": self.temperature < 0 and "must not be negative",
            "top_p": not 0 < self.top_p <= 1 and "must lie above 0 and not above 1",
            "top_k": self.top_k < 0 and "must not be negative",
            "num_samples": self.num_samples < 1 and "must be at least 1",
            "stop": "" in self.stop and "must not contain the empty text",
        }
        for name, complaint in complaints.items():
            if complaint:
                raise RecipeError(f"{name} is {getattr(self, name)!r}, but {complaint}.", where=name)

    def uniforms(self, conversation: int, sample: int) -> NDArray[np.float64]:
        """The uniform random numbers in [0, 1) with which one answer is drawn, float64 [max_new_tokens]."""
        return np.random.default_rng([self.seed, conversation, sample]).random(self.max_new_tokens)

    def choose(self, logits: Tensor, uniforms: NDArray[np.float64]) -> Tensor:
        """The next tokens, int64 [B], from float32 logits [B, V] and a uniform number in [0, 1) for each row, [B]."""
        if self.temperature == 0:
            return logits.argmax(-1)
        probabilities = torch.softmax(logits / self.temperature, dim=-1)
        if self.top_k or self.top_p < 1:
            probabilities, tokens = self._truncated(probabilities)
        else:
            tokens = None
        # inverse transform sampling takes one number a row; torch.multinomial draws one for each token
        reached = probabilities.cumsum(-1, dtype=torch.float64)
        target = torch.from_numpy(uniforms).to(logits.device).unsqueeze(-1) * reached[:, -1:]
        place = torch.searchsorted(reached, target, right=True).clamp_max(probabilities.shape[-1] - 1)
        return (place if tokens is None else tokens.gather(-1, place)).squeeze(-1)

    def _truncated(self, probabilities: Tensor) -> tuple[Tensor, Tensor]:
        size = min(self.top_k or probabilities.shape[-1], probabilities.shape[-1])
        probabilities, tokens = (
            probabilities.topk(size, dim=-1) if self.top_k else probabilities.sort(dim=-1, descending=True)
        )
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
        before = probabilities.cumsum(-1) - probabilities
        return probabilities.masked_fill(before >= self.top_p, 0.0), tokens


@dataclass(slots=True)
class Answer:
    """A generated answer: the next turn of a conversation.

    `ids` include the stop token, where there is one; `text` excludes it and any text of `Sampling.stop`. `logprobs` are
    the network's log-probabilities of the ids, before temperature and truncation; `sampling_logprobs` are those at the
    sampling temperature, where that is above 0. `finish`: the answer ended (stop) or reached `max_new_tokens` (length).
    """

    ids: list[int] = field(default_factory=list)
    text: str = ""
    logprobs: list[float] = field(default_factory=list)
    sampling_logprobs: list[float] = field(default_factory=list)
    finish: Literal["stop", "length"] = "length"
    reasoning: str | None = None
    """The reasoning before the answer, as the chat template shows it; None where there is none."""
    said: str | None = None
    """What comes after the reasoning; None where there is none."""

    @property
    def spoken(self) -> str:
        """The answer without its reasoning: its whole text without any, empty where the reasoning did not end."""
        return self.text if self.reasoning is None else self.said or ""

"""How the next token is chosen, and the answer that the tokens make."""

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
    """How answers are made. Temperature 0 takes the likeliest token each time and needs no seed.

    Else tokens are drawn at `temperature` from the `top_k` likeliest (0: all) of the smallest set whose chances reach
    `top_p` (Holtzman et al., 2020). An answer ends at the model's own stop tokens, before any of the texts in `stop`,
    or after `max_new_tokens`. `num_samples` answers share one prompt. What is drawn depends on the seed and on the
    places of conversation and sample, not on what else is in the batch.
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
            "stop": "" in self.stop and "must not hold the empty text, which is everywhere",
        }
        for name, complaint in complaints.items():
            if complaint:
                raise RecipeError(f"{name} is {getattr(self, name)!r}, but {complaint}.", where=name)

    def luck(self, conversation: int, sample: int) -> NDArray[np.float64]:
        """A number in [0, 1) for each token of one answer, float64 [max_new_tokens]."""
        return np.random.default_rng([self.seed, conversation, sample]).random(self.max_new_tokens)

    def choose(self, logits: Tensor, luck: NDArray[np.float64]) -> Tensor:
        """The next tokens, int64 [B], from float32 logits [B, V] and a number in [0, 1) for each row."""
        if self.temperature == 0:
            return logits.argmax(-1)
        chances = torch.softmax(logits / self.temperature, dim=-1)
        if self.top_k or self.top_p < 1:
            chances, tokens = self._likeliest(chances)
        else:
            tokens = None
        # the token where the running sum passes u: one number a row, where torch.multinomial draws one for each token
        reached = chances.cumsum(-1, dtype=torch.float64)
        target = torch.from_numpy(luck).to(logits.device).unsqueeze(-1) * reached[:, -1:]
        place = torch.searchsorted(reached, target, right=True).clamp_max(chances.shape[-1] - 1)
        return (place if tokens is None else tokens.gather(-1, place)).squeeze(-1)

    def _likeliest(self, chances: Tensor) -> tuple[Tensor, Tensor]:
        size = min(self.top_k or chances.shape[-1], chances.shape[-1])
        chances, tokens = chances.topk(size, dim=-1) if self.top_k else chances.sort(dim=-1, descending=True)
        chances = chances / chances.sum(-1, keepdim=True)
        before = chances.cumsum(-1) - chances
        return chances.masked_fill(before >= self.top_p, 0.0), tokens


@dataclass(slots=True)
class Answer:
    """The next turn of a conversation.

    `ids` end with the stop token, where there was one; `text` is without it and without any text of `Sampling.stop`.
    `logprobs` are log p(token) of the network itself, before temperature and truncation, one for each id; `drawn` are
    those at the temperature of the drawing, where that is above 0. `finish` says whether the answer came to its end or
    ran out of tokens.
    """

    ids: list[int] = field(default_factory=list)
    text: str = ""
    logprobs: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    finish: Literal["stop", "length"] = "length"

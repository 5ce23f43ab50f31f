"""Step by step: the logits of the next token of several rows, in the way that is right for their network.

A row's logits must not depend on the rows beside it. Most networks read left-padded prompts and go on from a cache; a
few count padding into their windows or their state, and read prompts of one length at a time; a few have no cache that
can be relied on, and read everything again for each token. Which, is proved (`decoding_of`).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.inference.generation.kv_cache import kv_cache_for, select_rows
from luthier.models.wrappers import unwrapped, virtual_token_count

Cache = Literal["past_key_values", "cache_params"]
"""The argument by which a network takes its cache."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """The way in which a network generates several rows as it would each alone."""

    padded: bool = True
    """Whether prompts of several lengths may share a batch, padded on the left."""
    cache: Cache | None = "past_key_values"
    """The argument of the cache; None where the whole row is read again for each token."""
    border: int | None = None
    """The tokens of a row beyond which it is computed otherwise from its first one on; None where there is none."""
    beyond: Literal["read again", "read again each time"] | None = None
    """What is done with a row that crosses the border; None where answers end there."""
    reason: str = ""
    """Why it is not a faster one; empty where there is no faster one."""

    def pads(self, longest: int) -> bool:
        """Whether prompts of several lengths may share a batch whose rows may come to `longest` tokens."""
        return self.padded and (self.border is None or longest <= self.border)


class Decoder:
    """Rows of tokens that grow by one at a time; `start` them, then `step`, and `keep` those that go on."""

    def __init__(self, network: nn.Module, decoding: Decoding, pad: int = 0) -> None:
        self.network, self.decoding, self.pad = network, decoding, pad
        self.virtual, self.device = virtual_token_count(network), next(network.parameters()).device
        self.takes_positions = "position_ids" in inspect.signature(unwrapped(network).forward).parameters

    def start(self, prompts: Sequence[NDArray[np.int32]], room: int, samples: int = 1) -> Tensor:
        """float32 logits [prompts · samples, V] behind each prompt, whose rows may grow by `room` tokens.

        Every prompt is read once; its `samples` rows follow each other.
        """
        longest = max(map(len, prompts))
        self.ids, self.mask = self._left_padded(prompts, longest + room)
        self.length, self.most, self.padded = longest, self.virtual + longest + room, not bool(self.mask[:, 0].all())
        self.crossed = self._is_beyond()
        self.cache = self._new_cache()
        logits = self._logits(self.ids)
        if samples == 1:
            return logits
        rows = torch.arange(len(prompts), device=self.device).repeat_interleave(samples)
        self.keep(rows)
        return logits[rows]

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone, in this order; int64 [n]."""
        self.ids, self.mask = self.ids[rows], self.mask[rows]
        if self.cache is not None:
            select_rows(self.cache, rows)

    def step(self, tokens: Tensor) -> Tensor:
        """float32 logits [B, V] behind one more token of each row, int64 [B]."""
        self.length += 1
        if self.cache is None or self.decoding.border is not None:
            self.ids = torch.cat([self.ids, tokens.unsqueeze(-1)], dim=1)
        if not self.crossed and self._is_beyond():
            self.crossed, self.cache = True, self._new_cache()
            return self._logits(self.ids)
        return self._logits(self.ids if self.cache is None else tokens.unsqueeze(-1))

    def _is_beyond(self) -> bool:
        return self.decoding.border is not None and self.virtual + self.length > self.decoding.border

    def _new_cache(self) -> Any:
        each_time = self.crossed and self.decoding.beyond == "read again each time"
        return None if self.decoding.cache is None or each_time else kv_cache_for(self.network, self.most)

    def _logits(self, ids: Tensor) -> Tensor:
        inputs: dict[str, Any] = {"input_ids": ids, "use_cache": self.cache is not None}
        if self.padded:
            inputs["attention_mask"] = mask = self.mask[:, : self.length]
            if self.takes_positions:
                inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        elif self.takes_positions and self.cache is not None:
            inputs["position_ids"] = torch.arange(self.length - ids.shape[1], self.length, device=ids.device)[None]
        if self.decoding.cache is not None and self.cache is not None:
            inputs[self.decoding.cache] = self.cache
        logits: Tensor = self.network(**inputs, logits_to_keep=1).logits[:, -1].float()
        return logits

    def _left_padded(self, prompts: Sequence[NDArray[np.int32]], room: int) -> tuple[Tensor, Tensor]:
        """ids int64 [B, longest] and mask bool [B, room], true but for the padding before each prompt."""
        longest = max(map(len, prompts))
        ids = torch.full((len(prompts), longest), self.pad)
        mask = torch.ones(len(prompts), room, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.from_numpy(prompt.astype(np.int64))
            mask[row, : longest - len(prompt)] = False
        return ids.to(self.device), mask.to(self.device)

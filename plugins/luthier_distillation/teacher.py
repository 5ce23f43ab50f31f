"""Who is followed: networks that are asked for the next token, and that never move."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from luthier.api import (
    Batch,
    LMHead,
    Model,
    RecipeError,
    ResourceError,
    find_lm_head,
    last_hidden_state,
    network_inputs,
    unwrapped,
)
from luthier_distillation.activations import Watch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Told(Protocol):
    """What a teacher says of the tokens of a batch that are trained on.

    `width` is the size of its vocabulary. It may differ from the student's by rows that are only padding, and the
    smaller of the two counts.
    """

    @property
    def width(self) -> int: ...

    def __call__(self, rows: slice, temperature: float, width: int) -> Tensor:
        """log p of those tokens at a temperature, over the first `width` of the vocabulary, float32 [n, width]."""

    def project(self, log_probs: Tensor) -> Tensor:
        """The student's log-probabilities [n, width] in the form in which the teacher's come."""


class Live:
    """One network, or several whose probabilities are mixed by weights; each in its own dtype, without gradients.

    They load when they are first asked, beside the student. `models` by name; the share of each is its weight, or 1,
    divided by the sum of all.
    """

    def __init__(self, models: Mapping[str, Model], weights: Mapping[str, float]) -> None:
        unknown, shares = sorted(set(weights) - set(models)), {name: weights.get(name, 1.0) for name in models}
        if unknown or min(shares.values()) <= 0:
            said = f"no teacher is called {unknown[0]!r}" if unknown else "each teacher's weight must be more than 0"
            raise RecipeError(
                f"The weights of the teachers do not fit: {said}.",
                where="method.teacher_weights",
                hint=f"There are {', '.join(models)}.",
            )
        self.models = models
        self.shares = {name: share / sum(shares.values()) for name, share in shares.items()}
        self._loaded: list[tuple[nn.Module, LMHead, float]] = []

    @property
    def tokenizers(self) -> dict[str, PreTrainedTokenizerBase]:
        return {name: model.tokenizer for name, model in self.models.items()}

    def writer(self, device: torch.device) -> tuple[nn.Module, PreTrainedTokenizerBase]:
        """Who writes answers: the first of them."""
        return self._networks(device)[0][0], next(iter(self.models.values())).tokenizer

    @torch.no_grad()
    def __call__(self, batch: Batch, where: Tensor, watch: Watch | None = None) -> Told:
        """`where` int64 [n] says which places of the flattened batch are asked about; `watch` looks on meanwhile."""
        asked, width = [], 0
        for number, (network, head, share) in enumerate(self._networks(where.device)):
            config = unwrapped(network).config
            inputs = network_inputs(batch, config)
            with watch.during(network, inputs) if watch and number == 0 else nullcontext():
                hidden = last_hidden_state(network, inputs)
            asked.append((head, hidden.flatten(0, 1)[where], share))
            own: int = config.get_text_config().vocab_size  # type: ignore[operator, union-attr]
            width = min(width or own, own)
        return _Said(asked, width)

    @property
    def said(self) -> str:
        """For the report."""
        names = {name: str(model.lineage().get("name", name)) for name, model in self.models.items()}
        if len(names) == 1:
            return next(iter(names.values()))
        return ", ".join(f"{names[name]} ({share:.0%})" for name, share in self.shares.items())

    @property
    def bytes(self) -> int:
        """What they keep in memory, estimated without loading them."""
        return sum(_bytes(model) for model in self.models.values())

    def _networks(self, device: torch.device) -> list[tuple[nn.Module, LMHead, float]]:
        if not self._loaded:
            for name, model in self.models.items():
                network = model.network().to(device).eval().requires_grad_(False)
                self._loaded.append((network, find_lm_head(network), self.shares[name]))
        return self._loaded


@dataclass(frozen=True, slots=True)
class _Said:
    """Heads with the hidden states of the tokens that are asked about, and the share of each."""

    asked: list[tuple[LMHead, Tensor, float]]
    width: int

    def __call__(self, rows: slice, temperature: float, width: int) -> Tensor:
        mixed: Tensor | None = None
        for head, hidden, share in self.asked:
            own = torch.log_softmax(head.logits(hidden[rows])[:, :width] / temperature, dim=-1)
            own = own if share == 1 else own + math.log(share)
            mixed = own if mixed is None else torch.logaddexp(mixed, own)
        assert mixed is not None, "a teacher is at least one network"
        return mixed

    def project(self, log_probs: Tensor) -> Tensor:
        return log_probs


def _bytes(model: Model) -> int:
    """Of the weights in their dtype; 0 where the architecture would have to be fetched first."""
    from luthier.api import DTYPE_BYTES, count_parameters

    unchanged: Any = nn.Identity()
    try:
        total = count_parameters(model, unchanged).total
    except ResourceError:
        return 0
    return total * DTYPE_BYTES[getattr(getattr(model, "loading", None), "dtype", "auto")]

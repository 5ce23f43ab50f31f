"""Teachers: networks that give distributions over the next token, and whose weights are never trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    check_names,
    find_lm_head,
    unwrapped,
)
from luthier_distillation.activations import ActivationRecorder, recorded_hidden_states

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TeacherDistributions(Protocol):
    """A teacher's distributions over the next token, at n trained positions of a batch.

    `vocab_size` is the size of the teacher's vocabulary. It may differ from the student's by padding rows of the LM
    head; the smaller of the two counts.
    """

    @property
    def vocab_size(self) -> int: ...

    def __call__(self, rows: slice, temperature: float, vocab_size: int) -> Tensor:
        """log p at those of the positions, over the first `vocab_size` tokens, float32 [rows, vocab_size]."""

    def project(self, log_probs: Tensor) -> Tensor:
        """The student's log-probabilities [n, V], mapped to the vocabulary of the teacher's."""


class TeacherNetworks:
    """One network, or a mixture of several, each in its own dtype and without gradients.

    The networks are loaded at their first use. `models` by name; the share of each in the mixture is its weight, or 1,
    divided by the sum of all.
    """

    def __init__(self, models: Mapping[str, Model], weights: Mapping[str, float]) -> None:
        check_names(weights, models, kind="teacher", use="to give a weight to", where="method.teacher_weights")
        shares = {name: weights.get(name, 1.0) for name in models}
        for name, share in shares.items():
            if share <= 0:
                raise RecipeError(
                    f"The weight of the teacher {name} is {share}.",
                    where="method.teacher_weights",
                    hint="Give each teacher a weight above 0.",
                )
        self.models = models
        self.shares = {name: share / sum(shares.values()) for name, share in shares.items()}
        self._loaded: list[tuple[nn.Module, LMHead, float]] = []

    @property
    def tokenizers(self) -> dict[str, PreTrainedTokenizerBase]:
        return {name: model.tokenizer for name, model in self.models.items()}

    def generator(self, device: torch.device) -> tuple[nn.Module, PreTrainedTokenizerBase]:
        """The network that generates sequences, which is the first one, and its tokenizer."""
        return self._networks(device)[0][0], next(iter(self.models.values())).tokenizer

    @torch.no_grad()
    def __call__(
        self, batch: Batch, positions: Tensor, recorder: ActivationRecorder | None = None
    ) -> TeacherDistributions:
        """The distributions at `positions` int64 [n] of the flattened batch; `recorder` records the first network."""
        outputs, vocab_size = [], 0
        for number, (network, head, share) in enumerate(self._networks(positions.device)):
            hidden = recorded_hidden_states(network, batch, recorder if number == 0 else None)
            outputs.append((head, hidden.flatten(0, 1)[positions], share))
            own: int = unwrapped(network).config.get_text_config().vocab_size  # type: ignore[operator, union-attr]
            vocab_size = min(vocab_size or own, own)
        return _MixedDistributions(outputs, vocab_size)

    @property
    def description(self) -> str:
        """Names and shares, for the report."""
        names = {name: str(model.lineage().get("name", name)) for name, model in self.models.items()}
        if len(names) == 1:
            return next(iter(names.values()))
        return ", ".join(f"{names[name]} ({share:.0%})" for name, share in self.shares.items())

    @property
    def weight_bytes(self) -> int:
        """The memory that their weights take, estimated without loading them."""
        return sum(_weight_bytes(model) for model in self.models.values())

    def _networks(self, device: torch.device) -> list[tuple[nn.Module, LMHead, float]]:
        if not self._loaded:
            for name, model in self.models.items():
                network = model.network().to(device).eval().requires_grad_(False)
                self._loaded.append((network, find_lm_head(network), self.shares[name]))
        return self._loaded


@dataclass(frozen=True, slots=True)
class _MixedDistributions:
    """LM heads, the hidden states [n, H] that each is applied to, and the share of each in the mixture."""

    outputs: list[tuple[LMHead, Tensor, float]]
    vocab_size: int

    def __call__(self, rows: slice, temperature: float, vocab_size: int) -> Tensor:
        mixture: Tensor | None = None
        for head, hidden, share in self.outputs:
            own = torch.log_softmax(head.logits(hidden[rows])[:, :vocab_size] / temperature, dim=-1)
            own = own if share == 1 else own + math.log(share)
            mixture = own if mixture is None else torch.logaddexp(mixture, own)
        assert mixture is not None, "a teacher is at least one network"
        return mixture

    def project(self, log_probs: Tensor) -> Tensor:
        return log_probs


def _weight_bytes(model: Model) -> int:
    """Of the weights in their dtype; 0 where the architecture would have to be fetched first."""
    from luthier.api import DTYPE_BYTES, count_parameters

    unchanged: Any = nn.Identity()
    try:
        total = count_parameters(model, unchanged).total
    except ResourceError:
        return 0
    return total * DTYPE_BYTES[getattr(getattr(model, "loading", None), "dtype", "auto")]

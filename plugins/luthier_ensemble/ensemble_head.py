"""The LM head of an ensemble: the members' last hidden states become one distribution over the next token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from luthier.api import LMHead, lm_head_of
from luthier_ensemble.combining.combining import Combining


class ConstantWeights(nn.Module):
    """The weights of a recipe, the same for every token: log weights [M]."""

    log_weights: Tensor

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("log_weights", torch.tensor(weights).log(), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.log_weights


class EnsembleHead(nn.Module):
    """Hidden states of all members concatenated, [..., ΣH], to logits [..., V].

    It takes the place of a language model's last linear layer, so that a loss over chunks of hidden states never holds
    more of the members' logits than those of a chunk. `gate` computes the members' log weights; the heads belong to the
    members and are looked up at each call, since an adapter may have replaced them.
    """

    def __init__(
        self, members: Mapping[str, nn.Module], combining: Combining, vocabulary: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.names, self.combining, self.vocabulary, self.widths = list(members), combining, vocabulary, list(widths)
        self.gate: nn.Module = ConstantWeights(self.weights())
        self._members = list(members.values())  # a plain list: their weights are registered by the ensemble

    def weights(self) -> list[float]:
        """The weight of each member by the recipe; they add up to 1."""
        return self.combining.weights_of(self.names)

    def replace_gate(self, gate: nn.Module) -> None:
        """Weight the members by this module from now on: concatenated hidden states to log weights [M] or [n, M]."""
        self.gate = gate

    @property
    def heads(self) -> list[LMHead]:
        return [lm_head_of(member) for member in self._members]

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """All that the logits of given hidden states depend on, the members' heads included."""
        yield from super().parameters(recurse)
        for head in self.heads:
            yield from head.module.parameters(recurse)

    def forward(self, hidden: Tensor) -> Tensor:
        def member_logits() -> Iterator[Tensor]:
            for head, own in zip(self.heads, torch.split(hidden, self.widths, dim=-1), strict=True):
                yield head.logits(own.to(next(head.module.parameters()).dtype))

        return self.combined(member_logits(), hidden)

    def combined(self, logits: Iterator[Tensor], hidden: Tensor) -> Tensor:
        """The ensemble's logits from those of the members, each [..., V]."""
        shape = hidden.shape[:-1]
        log_probs = (torch.log_softmax(each[..., : self.vocabulary].flatten(0, -2).float(), dim=-1) for each in logits)
        combined = self.combining(zip(self.names, log_probs, strict=True), self.gate(hidden.flatten(0, -2)))
        return combined.view(*shape, combined.shape[-1])

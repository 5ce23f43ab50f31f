"""Where the members of an ensemble meet: their last hidden states become one distribution over the next token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from luthier.api import LMHead, lm_head_of
from luthier_ensemble.combining.combining import Combining


class Shares(nn.Module):
    """How much each member counts, the same for every token: log shares [M]."""

    log_shares: Tensor

    def __init__(self, shares: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("log_shares", torch.tensor(shares).log(), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.log_shares


class Mix(nn.Module):
    """The ensemble's head: hidden states of all members side by side, [..., ΣH], to logits [..., V].

    It stands where a language model has its last linear map, so that what works on chunks of hidden states never
    holds more of the members' logits than those of a chunk. `gate` says how much each member counts; the heads belong
    to the members, and are looked up anew each time, as an adapter may have been put in their place.
    """

    def __init__(
        self, members: Mapping[str, nn.Module], combining: Combining, vocabulary: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.names, self.combining, self.vocabulary, self.widths = list(members), combining, vocabulary, list(widths)
        self.gate: nn.Module = Shares(combining.shares(self.names))
        self._members = list(members.values())  # a plain list: their weights are theirs

    @property
    def heads(self) -> list[LMHead]:
        return [lm_head_of(member) for member in self._members]

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """All that the logits of given hidden states depend on, the members' heads included."""
        yield from super().parameters(recurse)
        for head in self.heads:
            yield from head.module.parameters(recurse)

    def forward(self, hidden: Tensor) -> Tensor:
        def said() -> Iterator[Tensor]:
            for head, own in zip(self.heads, torch.split(hidden, self.widths, dim=-1), strict=True):
                yield head.logits(own.to(next(head.module.parameters()).dtype))

        return self.combined(said(), hidden)

    def combined(self, logits: Iterator[Tensor], hidden: Tensor) -> Tensor:
        """The same from logits [..., V] that the members have made already."""
        shape = hidden.shape[:-1]
        log_probs = (torch.log_softmax(each[..., : self.vocabulary].flatten(0, -2).float(), dim=-1) for each in logits)
        made = self.combining(zip(self.names, log_probs, strict=True), self.gate(hidden.flatten(0, -2)))
        return made.view(*shape, made.shape[-1])

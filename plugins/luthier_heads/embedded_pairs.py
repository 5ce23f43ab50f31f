"""The embeddings of pairs of texts, which objectives compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from luthier.api import Batch


@dataclass(frozen=True, slots=True)
class EmbeddedPairs:
    """Embeddings of N queries, their documents and M further documents that do not fit.

    `queries` and `documents` are float32 [N, width], `negatives` [M, width]. `owners` int64 [M] is the query of each
    negative. `scores` float32 [N] are those of graded pairs, else zeros. Equal texts have equal identities, int64 [N]
    and [M].
    """

    queries: Tensor
    documents: Tensor
    negatives: Tensor
    owners: Tensor
    scores: Tensor
    query_ids: Tensor
    document_ids: Tensor
    negative_ids: Tensor

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.queries)

    @classmethod
    def of(cls, embeddings: Tensor, identities: Tensor, sizes: Sequence[int], scores: Tensor) -> EmbeddedPairs:
        """From embeddings [S, width] and identities [S] of rows of `sizes` texts: query, document, then negatives."""
        counts = torch.tensor(sizes, dtype=torch.int64)
        starts = counts.cumsum(0) - counts
        owners = torch.arange(len(counts)).repeat_interleave(counts - 2)
        own = torch.ones(int(counts.sum()), dtype=torch.bool)
        own[starts], own[starts + 1] = False, False
        places = [one.to(embeddings.device) for one in (starts, starts + 1, own.nonzero().flatten())]
        query, document, negative = places
        return cls(
            embeddings[query], embeddings[document], embeddings[negative],
            owners.to(embeddings.device), scores.to(embeddings.device),
            identities[query], identities[document], identities[negative],
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[EmbeddedPairs]) -> EmbeddedPairs:
        """All pairs of the parts, in order."""
        lengths = torch.tensor([0, *map(len, parts)]).cumsum(0).tolist()
        shifted = [replace(part, owners=part.owners + first) for part, first in zip(parts, lengths, strict=False)]
        return cls(*(torch.cat([getattr(part, field.name) for part in shifted]) for field in fields(cls)))

    def rows(self, start: int, stop: int) -> EmbeddedPairs:
        """The pairs from `start` to before `stop`, with their negatives."""
        own = (self.owners >= start) & (self.owners < stop)
        return EmbeddedPairs(
            self.queries[start:stop], self.documents[start:stop], self.negatives[own], self.owners[own] - start,
            self.scores[start:stop], self.query_ids[start:stop], self.document_ids[start:stop], self.negative_ids[own],
        )  # fmt: skip

    def changed(self, change: Callable[[Tensor], Tensor]) -> EmbeddedPairs:
        """The same pairs with every embedding changed."""
        return replace(
            self,
            queries=change(self.queries),
            documents=change(self.documents),
            negatives=change(self.negatives),
        )


def identities_of(batch: Batch) -> Tensor:
    """A number for the tokens of each sequence of a batch, int64 [sequences]: equal for equal texts, without a sync.

    Sums of mixed products modulo 2^64: two texts that differ have the same number by chance once in about 2^64.
    """
    device = batch.input_ids.device
    lengths = torch.tensor(batch.boundaries, device=device).diff()
    owner = torch.arange(len(lengths), device=device).repeat_interleave(lengths)
    mixed = _mixed(batch.input_ids.flatten() * 0x9E3779B1 + _mixed(batch.positions.flatten() + 1))
    sums = torch.zeros(len(lengths), dtype=torch.int64, device=device).index_add_(0, owner, mixed)
    return sums[torch.tensor(batch.sequence_numbers, dtype=torch.int64, device=device)]


def _mixed(numbers: Tensor) -> Tensor:
    """SplitMix64's finaliser without its logical shifts: products wrap around, and high bits reach the low ones."""
    mixed = numbers * -7046029254386353131
    mixed = (mixed ^ (mixed >> 31)) * -4658895280553007687
    return mixed ^ (mixed >> 29)

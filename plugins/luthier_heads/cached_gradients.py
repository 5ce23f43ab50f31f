"""Losses over all pairs of an optimizer step, whatever its micro-batches and ranks, by cached gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn

from luthier.api import Batch, Loss
from luthier_heads.embedded_pairs import EmbeddedPairs, identities_of
from luthier_heads.pair_objectives import PairObjective


class Embedder(Protocol):
    """What is asked of the method whose gradients are cached."""

    network: nn.Module
    objective: PairObjective

    @property
    def trainer(self) -> pl.Trainer:
        """The trainer that calls it."""

    def embeddings(self, batch: Batch) -> Tensor:
        """The pooled hidden states of each text of a batch, float32 [sequences, width]."""

    def total(self, pairs: EmbeddedPairs) -> Tensor:
        """The sum of the loss over the pairs of a step."""


@dataclass(slots=True)
class CachedBatch(Batch):
    """A micro-batch with the gradient of its step's loss with respect to its embeddings, [sequences, width].

    `value` is its share of the loss, and `random` the states of random numbers under which it was embedded.
    """

    gradient: Tensor = field(default_factory=lambda: torch.zeros(0))
    value: Tensor = field(default_factory=lambda: torch.zeros(()))
    random: tuple[Tensor, Tensor | None] = field(default_factory=lambda: (torch.zeros(0), None))


class CachedGradients:
    """Embed a step without a graph, take the gradient of its loss, and hand it to each micro-batch (GradCache).

    Gao et al. (2021), algorithm 1: each micro-batch is embedded again with a graph, with the same dropout, and passes
    the gradient on, so that memory holds the graph of one micro-batch. With several ranks the loss is that over the
    pairs of all of them. A step of one micro-batch on one device is left as it is. False where no loss compares pairs.
    """

    visits = 1

    def __init__(self, method: Embedder) -> None:
        self._method = method

    def __bool__(self) -> bool:
        return self._method.objective.compares_pairs

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        method = self._method
        if len(step) == 1 and method.trainer.world_size == 1:
            return step
        device = next(method.network.parameters()).device
        states, parts, there = [], [], [batch.to(device) for batch in step]
        with torch.no_grad(), method.trainer.precision_plugin.forward_context():
            for batch in there:
                states.append(_random_states(device))
                parts.append(method.embeddings(batch))
        with torch.enable_grad():
            leaf = torch.cat(parts).requires_grad_()
            own = _pairs(leaf, there)
            whole = gathered(own, method.trainer.world_size)
            total = method.total(whole)
            (gradient,) = torch.autograd.grad(total, leaf) if total.requires_grad else (torch.zeros_like(leaf),)
        each = total.detach() / max(len(whole), 1)
        pieces = torch.split(gradient, [len(part) for part in parts])
        return [
            CachedBatch(
                **{one.name: getattr(batch, one.name) for one in fields(Batch)},
                gradient=piece, value=each * len(batch.sequence_groups), random=state,
            )
            for batch, piece, state in zip(step, pieces, states, strict=True)
        ]  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is nothing to restore: gradients are cached when a step begins."""


def cached_loss(method: Embedder, batch: CachedBatch) -> Loss:
    """The share of a micro-batch in its step's loss, whose gradient is that of the whole loss."""
    with _as_embedded(batch.random, batch.input_ids.device):
        embeddings = method.embeddings(batch)
    passed_on = (embeddings * batch.gradient).sum()
    weight = torch.tensor(float(len(batch.sequence_groups)), device=embeddings.device)
    return Loss(passed_on - passed_on.detach() + batch.value, weight)


def gathered(own: EmbeddedPairs, world: int) -> EmbeddedPairs:
    """The pairs of all ranks, in their order; gradients flow to those of this rank alone."""
    if world == 1:
        return own
    sizes = own.owners.bincount(minlength=len(own)) + 2
    texts = [torch.cat([own.queries, own.documents, own.negatives]).detach(), sizes, own.scores]
    texts.append(torch.cat([own.query_ids, own.document_ids, own.negative_ids]))
    by_rank = list(zip(*(_of_ranks(one, world) for one in texts), strict=True))
    parts = []
    for embeddings, counts, scores, identities in by_rank:
        pairs = len(counts)
        owners = torch.arange(pairs, device=counts.device).repeat_interleave(counts - 2)
        parts.append(
            EmbeddedPairs(
                embeddings[:pairs], embeddings[pairs : 2 * pairs], embeddings[2 * pairs :], owners, scores,
                identities[:pairs], identities[pairs : 2 * pairs], identities[2 * pairs :],
            )
        )  # fmt: skip
    parts[dist.get_rank()] = own
    return EmbeddedPairs.joined(parts)


def _of_ranks(own: Tensor, world: int) -> list[Tensor]:
    """The tensors [n of a rank, …] of all ranks."""
    lengths = [torch.zeros(1, dtype=torch.int64, device=own.device) for _ in range(world)]
    dist.all_gather(lengths, torch.tensor([len(own)], device=own.device))
    counts = [int(length) for length in lengths]
    padded = torch.cat([own, own.new_zeros(max(counts) - len(own), *own.shape[1:])])
    found = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(found, padded)
    return [one[:count] for one, count in zip(found, counts, strict=True)]


def _pairs(embeddings: Tensor, batches: Sequence[Batch]) -> EmbeddedPairs:
    sizes = [len(group) for batch in batches for group in batch.sequence_groups]
    scores = [batch.values["score"] for batch in batches if "score" in batch.values]
    own = torch.cat(scores) if scores else embeddings.new_zeros(len(sizes))
    return EmbeddedPairs.of(embeddings, torch.cat([identities_of(batch) for batch in batches]), sizes, own)


def pairs_of(embeddings: Tensor, batch: Batch) -> EmbeddedPairs:
    """The pairs of a batch by the embeddings [sequences, width] of its texts."""
    return _pairs(embeddings, [batch])


def _random_states(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


@contextmanager
def _as_embedded(states: tuple[Tensor, Tensor | None], device: torch.device) -> Iterator[None]:
    """Random numbers as they were when a micro-batch was embedded first."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.set_rng_state(states[0])
        if states[1] is not None:
            torch.cuda.set_rng_state(states[1], device)
        yield

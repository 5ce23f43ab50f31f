"""Embeddings of texts by a network: pooled hidden states, from packed forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.contracts.text_embedding import Pooling, TextEmbedding, TextKind
from luthier.errors import RecipeError
from luthier.inference.class_proof import LENGTHS, ROUNDING
from luthier.inference.class_scores import encode_for_classification
from luthier.inference.embeddings import Vectors
from luthier.inference.log_probabilities import BLOCK, packed_batches
from luthier.models.attention.proof import FAILURES, batch_of, first_line
from luthier.models.encoder_heads import text_states
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.lm_head import hidden_states
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def text_embeddings(network: nn.Module, batch: Batch, pooling: Pooling) -> Tensor:
    """The pooled hidden states of each text of a packed batch, float32 [sequences, width], each as if it were alone.

    They are not divided by their norm.
    """
    hidden = hidden_states(network, batch)
    if not batch.sequence_groups:  # a filler: no text, and a graph of zero gradients
        return hidden.flatten(0, 1)[:0].float()
    states, mask = text_states(hidden, batch)
    states, there = states.float(), mask[..., None] > 0
    if pooling == "mean":
        return (states * there).sum(1) / there.sum(1)
    if pooling == "max":
        return states.masked_fill(~there, -torch.inf).amax(1)
    places = torch.zeros_like(mask[:, 0]) if pooling == "cls" else mask.sum(1) - 1
    return states[torch.arange(len(states), device=states.device), places]


def as_compared(embeddings: Tensor, embedding: TextEmbedding, dimensions: int | None = None) -> Tensor:
    """Pooled hidden states [n, width] as they are compared: the first `dimensions`, of norm 1 for the cosine."""
    cut = embeddings if dimensions is None else embeddings[:, :dimensions]
    return normalize(cut, dim=-1) if embedding.similarity == "cosine" else cut


def encode_for_embedding(
    text: str, tokenizer: PreTrainedTokenizerBase, embedding: TextEmbedding, kind: TextKind
) -> tuple[TokenSequence, int]:
    """A text behind the prompt of its kind, cut to the length of the embedder, and how many tokens close it."""
    return encode_for_classification({"text": embedding.prompt(kind) + text}, tokenizer, longest=embedding.length)


@torch.no_grad()
def pooled_of(
    network: nn.Module, sequences: Sequence[TokenSequence], pooling: Pooling, *, length: int = BLOCK
) -> Tensor:
    """The pooled hidden states of sequences, float32 [sequences, width], on the device of the network."""
    device = next(network.parameters()).device
    parts: dict[int, Tensor] = {}
    for group, batch in packed_batches([Row((sequence,)) for sequence in sequences], device, length=length):
        parts |= dict(zip(group, text_embeddings(network, batch, pooling), strict=True))
    width = int(cast(Any, unwrapped(network)).config.get_text_config().hidden_size)
    found = [parts[number] for number in range(len(sequences))]
    return torch.stack(found) if found else torch.zeros(0, width, device=device)


def embedded(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    embedding: TextEmbedding,
    texts: Sequence[str],
    kind: TextKind,
    dimensions: int | None = None,
) -> Vectors:
    """Embeddings of texts, float32 [texts, width or dimensions]; those of equal texts are computed once."""
    unique = list(dict.fromkeys(texts))
    sequences = [encode_for_embedding(text, tokenizer, embedding, kind)[0] for text in unique]
    pooled = pooled_of(network, sequences, embedding.pooling)
    if dimensions is not None and not 0 < dimensions <= pooled.shape[1]:
        raise RecipeError(f"{dimensions} dimensions are asked for, and embeddings have {pooled.shape[1]}.")
    place = {text: number for number, text in enumerate(unique)}
    vectors = as_compared(pooled, embedding, dimensions).cpu().numpy()
    return np.asarray(vectors[[place[text] for text in texts]], dtype=np.float32)


def prove_embedder(network: nn.Module, pooling: Pooling) -> float:
    """Compare the embeddings of packed texts with those of each alone; the seconds it took.

    RecipeError where they differ by more than rounding.
    """
    started, inner = perf_counter(), cast(Any, unwrapped(network))
    device, dtype = next(network.parameters()).device, next(network.parameters()).dtype
    batch = batch_of(LENGTHS, min(int(inner.config.get_text_config().vocab_size), 1 << 15)).to(device)
    with evaluation_mode(network), torch.random.fork_rng(devices=[]), torch.compiler.set_stance("force_eager"):
        try:
            together, alone = text_embeddings(network, batch, pooling), []
            for number in batch.sequence_numbers:
                ids = batch.input_ids.flatten()[batch.boundaries[number] : batch.boundaries[number + 1]]
                only = batch_of(((len(ids),),), 4)
                only.input_ids = ids[None].cpu()
                alone.append(text_embeddings(network, only.to(device), pooling))
        except FAILURES as error:
            if isinstance(error, RecipeError):
                raise
            raise RecipeError(
                f"{type(inner).__name__} cannot embed a plain text: {first_line(error)}.", where="model"
            ) from error
    apart = float((together - torch.cat(alone)).abs().max())
    if not apart <= ROUNDING.get(dtype, 0.1) * max(1.0, float(together.abs().max())):
        raise RecipeError(
            f"{type(inner).__name__} computes texts that share a batch otherwise than each alone: embeddings differ "
            f"by {apart:.2g}.",
            where="model",
            hint="Choose another model or adaptation, or another dtype.",
        )
    return perf_counter() - started

"""The proof at the door of a head: what it gives for a text does not depend on the texts beside it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

import torch
from torch import Tensor, nn

from luthier.contracts.batch import Batch
from luthier.errors import RecipeError
from luthier.inference.class_scores import class_outputs
from luthier.inference.token_scores import token_outputs
from luthier.models.attention import layout_of
from luthier.models.attention.proof import FAILURES, batch_of, first_line
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.masked_lm import masked_logits
from luthier.models.wrappers import unwrapped

LENGTHS = ((5, 9, 3), (13,))
"""Lengths of the texts that are tried, row by row."""
ROUNDING = {torch.float32: 1e-3, torch.float64: 1e-6}
"""The largest difference of outputs that is rounding, by the dtype of the weights; in lower precision a tenth."""


def prove_tagger(network: nn.Module) -> float:
    """Compare the outputs for each token of packed texts with those of each text alone; the seconds it took.

    RecipeError where they differ by more than rounding.
    """

    def together(batch: Batch) -> Tensor:
        outputs = token_outputs(network, batch).flatten(0, 1)
        return outputs[(batch.segments > 0).flatten()]

    return _proved(network, together, lambda ids: network(input_ids=ids[None]).logits[0], "tag")


def prove_masked_lm(network: nn.Module) -> float:
    """As `prove_tagger`, of the logits of a masked language model for each token."""

    def together(batch: Batch) -> Tensor:
        return masked_logits(network, batch, (batch.segments > 0).flatten().nonzero().flatten())

    return _proved(network, together, lambda ids: network(input_ids=ids[None]).logits[0], "predict the tokens of")


def prove_classifier(network: nn.Module) -> float:
    """Compare the outputs of packed texts with those of each alone, by transformers' own forward; the seconds it took.

    A language model's outputs are compared with those of the same function, since transformers finds the last token by
    the id of padding. RecipeError where they differ by more than rounding.
    """

    def alone(ids: Tensor) -> Tensor:
        if layout_of(network).bidirectional:
            outputs: Tensor = network(input_ids=ids[None]).logits
            return outputs
        only = batch_of(((len(ids),),), 4)
        only.input_ids = ids[None].cpu()
        return class_outputs(network, only.to(ids.device))

    return _proved(network, lambda batch: class_outputs(network, batch), alone, "classify")


def _proved(
    network: nn.Module, together: Callable[[Batch], Tensor], alone: Callable[[Tensor], Tensor], verb: str
) -> float:
    """The seconds that it took to find outputs of packed texts those of each alone; RecipeError where they are not."""
    started, inner = perf_counter(), cast(Any, unwrapped(network))
    device, dtype = next(network.parameters()).device, next(network.parameters()).dtype
    batch = batch_of(LENGTHS, min(int(inner.config.get_text_config().vocab_size), 1 << 15)).to(device)
    with evaluation_mode(network), torch.random.fork_rng(devices=[]), torch.compiler.set_stance("force_eager"):
        try:
            packed, singly = together(batch), []
            for number in batch.sequence_numbers:
                ids = batch.input_ids.flatten()[batch.boundaries[number] : batch.boundaries[number + 1]]
                singly.append(alone(ids).float())
        except FAILURES as error:
            if isinstance(error, RecipeError):
                raise
            raise RecipeError(
                f"{type(inner).__name__} cannot {verb} a plain text: {first_line(error)}.", where="model"
            ) from error
    apart = float((packed - torch.cat(singly)).abs().max())
    if not apart <= ROUNDING.get(dtype, 0.1) * max(1.0, float(packed.abs().max())):
        raise RecipeError(
            f"{type(inner).__name__} computes texts that share a batch otherwise than each alone: its outputs differ "
            f"by {apart:.2g}.",
            where="model",
            hint="Choose another model or adaptation, or another dtype.",
        )
    return perf_counter() - started

"""The proof that the packed texts of an encoder are computed as each alone: hidden states and gradients.

As for causal language models, but each token sees all of its own text. What packs nothing is padded and masked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from luthier.contracts.batch import Batch
from luthier.errors import RecipeError
from luthier.models.attention.forward import as_the_batch, forward_passes
from luthier.models.attention.gradients import backward, directions, taken_gradients
from luthier.models.attention.layouts import PACKED_ATTENTION, Layout, Packed
from luthier.models.attention.packed import asks_the_registry
from luthier.models.attention.proof import FAILURES, batch_of, first_line, switched

LENGTHS = ((5, 21, 3), (27,), (2, 9))
"""The lengths of the texts that are compared, row by row; a window of a twin is shorter than the longest."""
NOT_TOLD = "its attention cannot be told where texts end"
"""Why an architecture is not packed that computes attention by code of its own."""
APART = 1e-3
"""The largest difference of hidden states in float32 that is rounding, as a share of their largest value."""


def trunk_of_encoder(network: nn.Module) -> nn.Module:
    """The encoder under a head, or the network itself."""
    prefix = str(getattr(network, "base_model_prefix", ""))
    trunk = getattr(network, prefix, None) if prefix else None
    return trunk if isinstance(trunk, nn.Module) else network


def prove_encoder_layout(
    network: nn.Module, attention: str, *, under: Callable[[nn.Module, str], nn.Module] = switched
) -> Layout:
    """The first layout in which an encoder computes texts that share a batch as each alone.

    `network` gives `last_hidden_state`; `under` gives it under an attention implementation. RecipeError where it cannot
    read a plain text, or where no layout agrees.
    """
    batch = batch_of(LENGTHS, int(cast(Any, network).config.get_text_config().vocab_size))
    try:
        hidden, gradients = _alone(under(network, "eager"), batch)
    except FAILURES as error:
        raise RecipeError(
            f"{type(network).__name__} cannot compute a plain text: {first_line(error)}.",
            where="model",
            hint="Choose an encoder of texts.",
        ) from error
    why: list[str] = []
    for layout in _layouts(network, attention):
        try:
            difference = _difference(under(network, layout.attention), batch, layout, hidden, gradients)
        except FAILURES as error:
            difference = first_line(error)
        if difference is None:
            return replace(layout, reason="" if layout.packs else "; ".join(why[:1]) or NOT_TOLD)
        why.append(f"{layout.packed} under {layout.attention}: {difference}")
    raise RecipeError(
        f"{type(network).__name__} computes texts beside each other in no way as it computes each alone ("
        + "; ".join(why)
        + ").",
        where="model",
        hint="Choose another model, or another model.attn_implementation.",
    )


def _layouts(network: Any, attention: str) -> Iterator[Layout]:
    """Every layout that may serve, the fastest first; positions begin at 0, or behind that of padding."""
    others = [attention]
    if attention == PACKED_ATTENTION:
        pad = getattr(network.config, "pad_token_id", None)
        if asks_the_registry(network):
            for first in (0, pad + 1) if isinstance(pad, int) else (0,):
                yield Layout(attention, Packed.KERNELS, bidirectional=True, first_position=first)
        others = ["sdpa", "eager"] if network._supports_sdpa else ["eager"]
    for packed in (Packed.MASKED, Packed.LENGTHS):
        yield from (Layout(other, packed, bidirectional=True) for other in others)


def _alone(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Hidden states laid out as the batch, and gradients, of each text by itself."""
    network.zero_grad()
    parts: dict[int, Tensor] = {}
    for number in batch.sequence_numbers:
        start, stop = batch.boundaries[number], batch.boundaries[number + 1]
        with torch.enable_grad():
            states = network(input_ids=batch.input_ids.flatten()[start:stop][None]).last_hidden_state[0]
            backward(states * directions(states.shape, start))
        parts[start] = states.detach()
    width = next(iter(parts.values())).shape[-1]
    hidden = torch.zeros(batch.input_ids.numel(), width)
    for start, states in parts.items():
        hidden[start : start + len(states)] = states
    return hidden, taken_gradients(network)


def _difference(
    network: nn.Module, batch: Batch, layout: Layout, hidden: Tensor, gradients: dict[str, Tensor]
) -> str | None:
    """What differs under a layout, as part of a sentence; None where nothing does."""
    network.zero_grad()
    passes = forward_passes(batch, layout)
    with torch.enable_grad():
        found = as_the_batch(batch, passes, [network(**each.inputs).last_hidden_state for each in passes])
        flat = found.flatten(0, 1)
        weights = torch.zeros_like(flat)
        for number in batch.sequence_numbers:
            start, stop = batch.boundaries[number], batch.boundaries[number + 1]
            weights[start:stop] = directions((stop - start, flat.shape[-1]), start)
        backward(flat * weights)
    there = (batch.segments > 0).flatten()
    apart = float((flat.detach() - hidden)[there].abs().max()) / max(float(hidden.abs().max()), 1e-6)
    if not apart <= APART:
        return f"hidden states differ by {apart:.2g} of the largest"
    largest = max((float(gradient.norm()) for gradient in gradients.values()), default=0.0)
    for name, gradient in taken_gradients(network).items():  # those of zero, as of a key's bias, are rounding alone
        known = gradients.get(name)
        known = torch.zeros_like(gradient) if known is None else known
        if not float((gradient - known).norm()) <= 1e-2 * (float(known.norm()) + 1e-2 * largest):
            return f"the gradient of {name} differs"
    return None

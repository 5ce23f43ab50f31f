"""The proof that packed sequences are computed as each alone: values, gradients, windows, shared prefixes.

What an architecture does with positions, masks and boundaries cannot be known by reading its configuration. So it is
computed, on a tiny twin of the configuration: sequences packed in each way that there is, and each by itself under the
architecture's own eager attention. The first way that agrees is the network's `Layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from luthier.contracts.batch import Batch
from luthier.errors import LuthierError, RecipeError
from luthier.models.attention.forward import as_the_batch, forward_passes, tree_mask
from luthier.models.attention.gradients import backward, directions, taken_gradients
from luthier.models.attention.layouts import KNOWN_LAYERS, PACKED_ATTENTION, Layout, Packed
from luthier.models.attention.packed import asks_the_registry
from luthier.models.text_attention import can_switch, for_text, set_text_attention
from luthier.models.twin import is_of_transformers

NATS = 1e-3
"""The largest difference of log-probabilities in float32 that is rounding."""

FAILURES = (LuthierError, TypeError, ValueError, RuntimeError, LookupError, AttributeError, ImportError, AssertionError)
"""What a network raises that cannot be called in some way."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of the sequences that are compared: of two rows, and of a prefix with what goes on from it."""

    rows: tuple[tuple[int, ...], ...] = ((5, 21, 3), (27,), (2, 9))
    trees: tuple[tuple[int, ...], ...] = ((6, 4, 13), (11, 2, 7))
    short: tuple[tuple[int, ...], ...] = ((3, 2, 2), (2, 4))
    """Trees that every window holds."""

    @classmethod
    def of(cls, network: nn.Module) -> Lengths:
        """Those that cross what a token looks back by: more of them where that is unknown, as far as texts may go."""
        return (
            cls()
            if is_of_transformers(network) or not reads(network, FAR_BACK)
            else cls(rows=(*cls().rows, (FAR_BACK, 3)))
        )


FAR_BACK = 130
"""The tokens of a text that crosses what classes that are unknown here may look back by."""


@torch.no_grad()
def reads(network: nn.Module, length: int) -> bool:
    """Whether a network on the CPU reads a text of so many tokens; elsewhere too many would stop the device."""
    if next(network.parameters()).device.type != "cpu":
        return False
    try:
        network(input_ids=torch.full((1, length), 3), use_cache=False)
    except FAILURES:
        return False
    return True


def prove_layout(
    network: nn.Module,
    attention: str,
    lengths: Lengths | None = None,
    *,
    under: Callable[[nn.Module, str], nn.Module] | None = None,
) -> Layout:
    """The first layout in which the network computes packed sequences as each alone; sets its attention to that.

    `attention` is the implementation that is asked for; where it is luthier_packed, the network's own may take its
    place. `under` gives the network under an implementation: switched, or built anew. RecipeError where the network is
    no causal language model, or where no layout agrees.
    """
    under = under or switched
    with _attention(network, "eager"):
        try:
            alone = _Alone.of(network, lengths or Lengths.of(network))
        except RecipeError:
            raise
        except FAILURES as error:
            raise RecipeError(
                f"{type(network).__name__} cannot compute a plain text: {first_line(error)}.",
                where="model",
                hint="Choose a model that reads and writes text.",
            ) from error
    why: list[str] = []
    for layout in _layouts(network, attention):
        try:
            network = under(network, layout.attention)
            difference = alone.difference(network, layout)
        except FAILURES as error:
            why.append(f"{_named(layout)}: {first_line(error)}")
            continue
        if difference is None:
            prefixes = layout.packs and alone.shares(network, layout)
            return Layout(
                layout.attention, layout.packed, prefixes, _takes_masks(network, layout), reason="; ".join(why[:1])
            )
        why.append(f"{_named(layout)}: {difference}")
    raise RecipeError(
        f"{type(network).__name__} computes packed or padded sequences in no way as it computes each alone ("
        + "; ".join(why)
        + ").",
        where="model",
        hint="Choose another model, or another model.attn_implementation.",
    )


def switched(network: Any, attention: str) -> nn.Module:
    """The network under an attention implementation; RecipeError where its class takes one only as it is built."""
    before = network.config.get_text_config()._attn_implementation
    if before != attention:
        if not can_switch(network):
            raise RecipeError(
                f"{type(network).__name__} was built with attn_implementation={before} and takes no other afterwards.",
                where="model.attn_implementation",
                hint=f"Set model.attn_implementation={attention}.",
            )
        set_text_attention(network, attention)
    return cast(nn.Module, network)


def built_anew(network: Any, attention: str) -> nn.Module:
    """As `switched`; where a class takes attention only as it is built, a new network with the same weights."""
    if network.config.get_text_config()._attn_implementation == attention or can_switch(network):
        return switched(network, attention)
    other = type(network)._from_config(
        deepcopy(network.config), attn_implementation=for_text(network.config, attention), dtype=network.dtype
    )
    other.load_state_dict(network.state_dict())
    return cast(nn.Module, other.train(network.training))


@contextmanager
def _attention(network: Any, attention: str) -> Iterator[None]:
    before = network.config.get_text_config()._attn_implementation
    try:
        if can_switch(network):
            switched(network, attention)
        yield
    finally:
        switched(network, before)


def _layouts(network: Any, attention: str) -> Iterator[Layout]:
    """Every layout that may serve under this attention, the fastest first."""
    kinds = set(getattr(network.config.get_text_config(), "layer_types", None) or ())
    packed = [Packed.KERNELS] if kinds <= KNOWN_LAYERS else [Packed.KERNELS, Packed.BOUNDARIES]
    if attention == PACKED_ATTENTION:
        if asks_the_registry(network):
            yield from (Layout(attention, each) for each in packed)
        others = ["sdpa", "eager"] if network._supports_sdpa else ["eager"]
    else:
        others = [attention]
    for other in others:
        yield Layout(other, Packed.POSITIONS)
        if not kinds <= KNOWN_LAYERS:
            yield Layout(other, Packed.BOUNDARIES)
    yield from (Layout(other, Packed.ROWS) for other in others)
    yield from (Layout(other, Packed.LENGTHS) for other in others)


@dataclass(frozen=True, slots=True)
class _Alone:
    """Log-probabilities and gradients of sequences, each computed by itself."""

    rows: Batch
    trees: Batch
    log_probs: Tensor
    tree_log_probs: Tensor
    gradients: dict[str, Tensor]

    @classmethod
    def of(cls, network: nn.Module, lengths: Lengths) -> _Alone:
        vocabulary = int(network.config.get_text_config().vocab_size)  # type: ignore[union-attr, operator]
        rows, trees = batch_of(lengths.rows, vocabulary), batch_of(lengths.trees, vocabulary, trees=True)
        _refuse_looking_ahead(network, rows)
        network.zero_grad()
        log_probs = torch.zeros(*rows.input_ids.shape, vocabulary)
        for start, stop in _spans(rows):
            ids = rows.input_ids.flatten()[start:stop]
            with torch.enable_grad():
                found = _log_probs(network(input_ids=ids[None], use_cache=False).logits)[0]
                backward(found * directions(found.shape, start))
            log_probs.view(-1, vocabulary)[start:stop] = found.detach()
        return cls(rows, trees, log_probs, _trees_alone(network, trees, vocabulary), taken_gradients(network))

    def difference(self, network: nn.Module, layout: Layout) -> str | None:
        """What differs under this layout, as part of a sentence; None where nothing does."""
        network.zero_grad()
        with torch.enable_grad():
            found = _packed(network, self.rows, layout)
            there = self.rows.segments > 0
            nats = float((found.detach() - self.log_probs)[there].abs().max())
            if not nats <= NATS:
                return f"packed sequences differ by {nats:.2g} nats"
            weights = torch.zeros_like(found)
            for start, stop in _spans(self.rows):
                weights.view(-1, found.shape[-1])[start:stop] = directions((stop - start, found.shape[-1]), start)
            backward(found * weights)
        largest = max((float(gradient.norm()) for gradient in self.gradients.values()), default=0.0)
        for name, gradient in taken_gradients(network).items():  # those of zero, as of a key's bias, are rounding alone
            scale = float(self.gradients[name].norm()) + 1e-2 * largest
            if not float((gradient - self.gradients[name]).norm()) <= 1e-2 * scale:
                return f"the gradient of {name} differs"
        return None

    @torch.no_grad()
    def shares(self, network: nn.Module, layout: Layout) -> bool:
        """Whether prefixes that are computed once give what whole sequences do."""
        try:
            found = _packed(network, self.trees, Layout(layout.attention, layout.packed, shared_prefixes=True))
        except FAILURES:
            return False
        nats = (found - self.tree_log_probs)[self.trees.segments > 0].abs().max()
        return bool(nats <= NATS)


@torch.no_grad()
def _takes_masks(network: nn.Module, layout: Layout) -> bool:
    """Whether a mask is all that is needed to keep branches apart that share a prefix."""
    vocabulary = int(network.config.get_text_config().vocab_size)  # type: ignore[union-attr, operator]
    trees = batch_of(Lengths().short, vocabulary, trees=True)
    inputs = {"input_ids": trees.input_ids, "position_ids": trees.positions, "use_cache": False}
    try:
        mask = tree_mask(trees, additive=layout.attention == "eager")
        found = _log_probs(network(**inputs, attention_mask=mask).logits)
    except FAILURES:
        return False
    nats = (found - _trees_alone(network, trees, vocabulary))[trees.segments > 0].abs().max()
    return bool(nats <= NATS)


def _packed(network: nn.Module, batch: Batch, layout: Layout) -> Tensor:
    passes = forward_passes(batch, layout)
    return as_the_batch(batch, passes, [_log_probs(network(**each.inputs).logits) for each in passes])


def _trees_alone(network: nn.Module, trees: Batch, vocabulary: int) -> Tensor:
    found, flat = torch.zeros(trees.input_ids.numel(), vocabulary), trees.input_ids.flatten()
    spans = _spans(trees, all_of_them=True)
    for number in {*trees.sequence_numbers, *trees.prefix_of.values()}:
        start, stop = spans[number]
        before = flat[slice(*spans[trees.prefix_of[number]])] if number in trees.prefix_of else flat[:0]
        with torch.no_grad():
            whole = network(input_ids=torch.cat([before, flat[start:stop]])[None], use_cache=False).logits[0]
        found[start:stop] = _log_probs(whole)[len(before) :]
    return found.view(*trees.input_ids.shape, vocabulary)


def _refuse_looking_ahead(network: nn.Module, rows: Batch) -> None:
    """RecipeError where what a token gives depends on those behind it, under any attention implementation."""
    stated = getattr(network.config.get_text_config(), "use_bidirectional_attention", None)  # type: ignore[union-attr, operator]
    if stated in (True, "all"):
        raise _no_causal_language_model(network)
    whole = rows.input_ids[:1, :12].clone()
    with torch.no_grad():
        first = network(input_ids=whole[:, :6], use_cache=False).logits[0]
        seen = network(input_ids=whole, use_cache=False).logits[0, :6]
        whole[0, 6:] = whole[0, 6:].flip(0)
        other = network(input_ids=whole, use_cache=False).logits[0, :6]
    if not (torch.allclose(seen, other, atol=1e-3) and torch.allclose(first, other, atol=1e-3)):
        raise _no_causal_language_model(network)


def _no_causal_language_model(network: nn.Module) -> RecipeError:
    return RecipeError(
        f"{type(network).__name__} is no causal language model: its tokens see those behind them.",
        where="model",
        hint="Choose a model that generates text.",
    )


def batch_of(lengths: Sequence[Sequence[int]], vocabulary: int, *, trees: bool = False) -> Batch:
    """Rows of packed sequences; with `trees` the first of each row is the prefix of the others."""
    width = max(sum(row) for row in lengths)
    ids = torch.randint(3, vocabulary, (len(lengths), width), generator=torch.Generator().manual_seed(0))
    positions, segments = torch.zeros_like(ids), torch.zeros(ids.shape, dtype=torch.int32)
    boundaries, prefix_of, groups = [0], {}, []
    for row, sizes in enumerate(lengths):
        at, first = 0, len(boundaries) - 1
        for number, size in enumerate(sizes):
            begin = sizes[0] if trees and number else 0
            positions[row, at : at + size] = torch.arange(begin, begin + size)
            segments[row, at : at + size] = number + 1
            at += size
            boundaries.append(row * width + at)
            if trees and number:
                prefix_of[len(boundaries) - 2] = first
        groups.append(tuple(range(first + trees, len(boundaries) - 1)))
        if at < width:
            positions[row, at:] = torch.arange(width - at)
            boundaries.append((row + 1) * width)
    weights = torch.ones(ids.shape)
    return Batch(ids, weights, positions, segments, tuple(boundaries), (0,), {}, prefix_of, tuple(groups))


def _spans(batch: Batch, *, all_of_them: bool = False) -> list[tuple[int, int]]:
    spans = list(zip(batch.boundaries, batch.boundaries[1:], strict=False))
    return spans if all_of_them else [spans[number] for number in batch.sequence_numbers]


def _log_probs(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits.float(), dim=-1)


def _named(layout: Layout) -> str:
    return f"{layout.packed} under {layout.attention}"


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its name."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

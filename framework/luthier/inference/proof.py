"""The proof at the door: a network, adapted or not, computes texts packed, padded and step by step as it does alone.

`layout_of` and `decoding_of` prove an architecture on its twin. Here the network itself is tried, with its weights, its
dtype and its adaptation, on a few short texts: what no twin shows is found before any data is read.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from luthier.contracts.adaptation import Adaptation
from luthier.errors import RecipeError
from luthier.inference.generation.decoder import Decoder, Decoding
from luthier.inference.generation.proof import decoding_of
from luthier.models.attention import Layout, architecture_layout, as_the_batch, forward_passes, layout_of, register
from luthier.models.attention.proof import FAILURES, NATS, batch_of, first_line
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.lm_head import find_lm_head
from luthier.models.proofs import NoTwin, readable_twin
from luthier.models.twin import stir
from luthier.models.wrappers import unwrapped

LENGTHS = ((5, 9, 3), (13,))
"""Lengths of the texts that are tried, row by row; a window of a twin is shorter than the longest."""
ROUNDING = {torch.float32: 1e-2, torch.float64: NATS}
"""The largest difference in nats that is rounding, by the dtype of the weights; in lower precision it is a half."""


def prove_network(network: nn.Module, *, name: str = "") -> float:
    """Try a network on a few short texts; the seconds that it took.

    RecipeError where what it gives for a text depends on the texts beside it; `name` is that of its adaptation.
    """
    started, inner = perf_counter(), unwrapped(network)
    who = f"{type(inner).__name__} with {name}" if name else type(inner).__name__
    with evaluation_mode(network), torch.compiler.set_stance("force_eager"):  # not compiled for these few texts
        for what, differs in (("packed texts", _packed), ("prompts beside each other", _decoded)):
            try:
                nats = differs(network)
            except FAILURES as error:
                if isinstance(error, RecipeError):
                    raise
                raise RecipeError(f"{who} cannot compute {what}: {first_line(error)}.", where="adaptation") from error
            if not nats <= ROUNDING.get(next(network.parameters()).dtype, 0.5):
                raise RecipeError(
                    f"{who} computes {what} otherwise than each alone: they differ by {nats:.2g} nats.",
                    where="adaptation" if name else "model",
                    hint="Choose another adaptation." if name else "Choose another model, or another dtype.",
                )
    return perf_counter() - started


def prove_adapted(network: nn.Module, adaptation: Adaptation) -> float:
    """`prove_network` for an adapted network and for its twin, whose windows texts cross; the seconds that it took."""
    started = perf_counter()
    with torch.random.fork_rng(devices=[]):  # what is drawn here must not change what a run draws
        _prove_twin(cast(Any, unwrapped(network)).config, layout_of(network).attention, adaptation)
        prove_network(network, name=type(adaptation).__name__)
        _refuse_without_effect(network, type(adaptation).__name__)
    return perf_counter() - started


@dataclass(frozen=True, slots=True)
class ArchitectureProof:
    """How networks of an architecture compute texts that share a batch, as its twin shows."""

    layout: Layout
    decoding: Decoding


def prove_architecture(config: Any, attention: str, adaptation: Adaptation) -> ArchitectureProof | None:
    """All that the door will prove, on a twin of the configuration; None where there is none. RecipeError as there."""
    register()
    with torch.random.fork_rng(devices=[]):
        try:
            layout = architecture_layout(config, attention)
            twin = readable_twin(config, layout.attention)
        except NoTwin:
            return None
        find_lm_head(twin)
        prove_network(twin)
        _prove_twin(config, layout.attention, adaptation)
        return ArchitectureProof(layout, decoding_of(twin))


def _prove_twin(config: Any, attention: str, adaptation: Adaptation) -> None:
    """Try an adaptation on the twin of a configuration, if it can be put there: one for layer 20 cannot."""
    name, own = type(adaptation).__name__, copy(adaptation)  # what it remembers of a network is not of a twin
    try:
        adapted = own(readable_twin(config, attention)).eval()
        stir(weight for weight in adapted.parameters() if weight.requires_grad)
    except Exception:  # the real network says what is wrong, if anything is
        return
    prove_network(adapted, name=name)
    _refuse_without_effect(adapted, name)
    _prove_merge(adapted, own, name)


def _refuse_without_effect(network: nn.Module, name: str) -> None:
    """RecipeError where what a network gives depends on no weight that is trained, as on keys that it does not read."""
    if not any(weight.requires_grad for weight in network.parameters()):
        return
    ids = batch_of(((5,),), _vocabulary(network)).to(next(network.parameters()).device).input_ids
    (alone,) = forward_passes(_only(ids[0]), layout_of(network))
    with evaluation_mode(network), torch.enable_grad(), torch.compiler.set_stance("force_eager"):
        logits = network(**alone.inputs).logits
    if not logits.requires_grad:
        raise RecipeError(
            f"{type(unwrapped(network)).__name__} with {name} would learn nothing: it does not compute with the "
            "weights that are trained.",
            where="adaptation",
            hint="Choose an adaptation that changes its own weights, such as lora.",
        )


@torch.no_grad()
def _prove_merge(adapted: nn.Module, adaptation: Adaptation, name: str) -> None:
    """RecipeError where the merged network is another one: a layer reads weights past what was put in their place."""
    ids, who = batch_of(((12,),), _vocabulary(adapted)).input_ids, type(unwrapped(adapted)).__name__
    before = torch.log_softmax(adapted(input_ids=ids, use_cache=False).logits.float(), dim=-1)
    unread = _unread_adapters(adapted, ids)
    try:
        merged = adaptation.merge(adapted)
    except Exception:  # it cannot be merged, which is said where somebody asks for it
        return
    nats = float((torch.log_softmax(merged(input_ids=ids, use_cache=False).logits.float(), -1) - before).abs().max())
    if not nats <= ROUNDING[torch.float32]:
        where = f" Its layers do not call {', '.join(unread)}." if unread else ""
        raise RecipeError(
            f"{who} with {name} is another network once it is merged, by {nats:.2g} nats: some of the adapted modules "
            f"stand in several places, or their weights are read past the adapter.{where}",
            where="adaptation.targets",
            hint="Name in adaptation.targets the modules to adapt, without these.",
        )


def _unread_adapters(adapted: nn.Module, ids: Tensor) -> list[str]:
    """The short names of modules with an adapter that a forward pass does not call."""
    called: set[nn.Module] = set()
    layers = {name: module for name, module in adapted.named_modules() if _is_adapter(module)}
    handles = [module.register_forward_hook(lambda one, *_: called.add(one)) for module in layers.values()]
    try:
        adapted(input_ids=ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return sorted({name.rpartition(".")[2] for name, module in layers.items() if module not in called})


def _is_adapter(module: nn.Module) -> bool:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return isinstance(module, BaseTunerLayer)


def _packed(network: nn.Module) -> float:
    """The largest difference of log-probabilities between packed texts and each by itself."""
    layout, device = layout_of(network), next(network.parameters()).device
    together = batch_of(LENGTHS, _vocabulary(network)).to(device)
    passes = forward_passes(together, layout)
    found = as_the_batch(together, passes, [_text_log_probs(network, each.inputs) for each in passes])
    worst = 0.0
    for number in together.sequence_numbers:
        start, stop = together.boundaries[number], together.boundaries[number + 1]
        ids = together.input_ids.flatten()[start:stop]
        (alone,) = forward_passes(_only(ids), layout)
        by_itself = _text_log_probs(network, alone.inputs)[0]
        worst = max(worst, float((found.flatten(0, 1)[start:stop] - by_itself).abs().max()))
    return worst


def _decoded(network: nn.Module) -> float:
    """The largest difference between two prompts with two tokens each, step by step, and each read as a whole."""
    decoding, layout = decoding_of(network), layout_of(network)
    device, random = next(network.parameters()).device, np.random.default_rng(0)
    sizes = (4, 11) if decoding.padded else (11, 11)
    texts = [random.integers(3, _vocabulary(network), size + 2).astype(np.int32) for size in sizes]
    decoder, worst = Decoder(network, decoding), 0.0
    logits = decoder.start([text[:-2] for text in texts], 2)
    whole = []
    for text in texts:
        (alone,) = forward_passes(_only(torch.from_numpy(text.astype(np.int64)).to(device)), layout)
        whole.append(_text_log_probs(network, alone.inputs)[0])
    for step in range(2):
        ours = torch.log_softmax(logits.float(), dim=-1)
        theirs = torch.stack([each[size - 1 + step] for each, size in zip(whole, sizes, strict=True)])
        worst = max(worst, float((ours - theirs).abs().max()))
        tokens = torch.tensor([int(text[size + step]) for text, size in zip(texts, sizes, strict=True)], device=device)
        logits = decoder.step(tokens)
    return worst


def _only(ids: Tensor) -> Any:
    batch = batch_of(((len(ids),),), 4)
    batch.input_ids = ids[None]
    return batch.to(ids.device)


def _text_log_probs(network: nn.Module, inputs: dict[str, Any]) -> Tensor:
    """Of the text alone, without virtual tokens before it."""
    logits = network(**inputs).logits[:, -inputs["input_ids"].shape[1] :]
    return torch.log_softmax(logits.float(), dim=-1)


def _vocabulary(network: nn.Module) -> int:
    config: Any = unwrapped(network).config
    return min(int(config.get_text_config().vocab_size), 1 << 15)

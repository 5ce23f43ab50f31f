"""Encoders under a head: the head that transformers gives the architecture, read from packed texts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification
from transformers.modeling_outputs import BaseModelOutputWithPooling

from luthier.contracts.heads import Head
from luthier.errors import RecipeError
from luthier.models.attention.encoder_proof import trunk_of_encoder
from luthier.models.head_weights import head_modules
from luthier.models.wrappers import forward_replaced, unwrapped

if TYPE_CHECKING:
    from luthier.contracts.batch import Batch


def encoder_with_head(
    network: nn.Module, config: Any, auto_class: Any = AutoModelForSequenceClassification
) -> nn.Module:
    """The trunk of an encoder under the head that `auto_class` of transformers builds for its architecture.

    The head has `config.num_labels` outputs and is initialised as transformers does, from a fixed seed; the given
    network is used up. RecipeError for an architecture without one. The trunk of a causal language model takes a head
    for tokens in the same way.
    """
    trunk: Any = trunk_of_encoder(network)
    try:
        with torch.device("meta"):
            made: Any = auto_class.from_config(config, attn_implementation=config._attn_implementation)
    except ValueError as error:
        raise RecipeError(
            f"transformers has no {auto_class.__name__} for {type(trunk).__name__}.",
            where="model",
            hint="Choose an encoder whose architecture has one, such as bert, roberta, deberta-v2 or modernbert.",
        ) from error
    made.config.architectures = [type(made).__name__]
    pooler, prefix = getattr(getattr(made, made.base_model_prefix), "pooler", None), made.base_model_prefix
    new = [child for name, child in made.named_children() if name != prefix]
    if pooler is None and getattr(trunk, "pooler", None) is not None:
        trunk.pooler = None  # what the head does not read is no part of the network
    elif pooler is not None and getattr(trunk, "pooler", None) is None:
        trunk.pooler = pooler
        new.append(pooler)
    setattr(made, prefix, trunk)
    like = next(trunk.parameters())
    if not like.is_meta:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for child in new:
                _initialise(made, child.to_empty(device=like.device).to(like.dtype))
    headed: nn.Module = made.train(network.training)
    return headed


@torch.no_grad()
def _initialise(made: Any, head: nn.Module) -> None:
    for module in head.modules():
        made._init_weights(module)


def with_trained_head(network: nn.Module) -> nn.Module:
    """A classifier whose head is trained, too, whatever an adaptation chose; PEFT keeps a copy of it for that."""
    inner: Any = unwrapped(network)
    if inner is network and Head.of(inner.config) is not None:
        for name in head_modules(network):
            network.get_submodule(name).requires_grad_(True)
    return network


def encoder_states(network: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    """The last hidden states [R, L, H] of an encoder with or without a head, from one call of the whole network."""
    inner = unwrapped(network)
    trunk = trunk_of_encoder(inner)
    if trunk is inner:
        return cast(Tensor, network(**inputs).last_hidden_state)
    caught: list[Tensor] = []
    handle = trunk.register_forward_hook(lambda module, arguments, output: caught.append(output[0]))
    try:
        with ExitStack() as without_head:
            for head in _heads_over_vocabulary(inner):
                without_head.enter_context(forward_replaced(head, lambda states, *further, **named: states))
            network(**inputs)
    finally:
        handle.remove()
    return caught[-1]


def is_masked_lm(network: nn.Module) -> bool:
    """Whether an encoder has a head over its vocabulary."""
    return type(unwrapped(network)).__name__.endswith("ForMaskedLM")


def _heads_over_vocabulary(inner: Any) -> list[nn.Module]:
    """The modules behind the trunk of a masked language model; computed for all tokens they would be most of the work.

    Where only hidden states are wanted they hand these on.
    """
    if not is_masked_lm(inner):
        return []
    return [child for name, child in inner.named_children() if name != inner.base_model_prefix]


def head_outputs(network: nn.Module, states: Tensor, mask: Tensor) -> Tensor:
    """What the head of a network gives for hidden states [N, L, H] of texts, of which `mask` int64 [N, L] are tokens.

    The network is called with them in place of those of its encoder, so that all that stands behind it takes part.
    """
    trunk: Any = trunk_of_encoder(unwrapped(network))

    def given(*arguments: Any, **named: Any) -> BaseModelOutputWithPooling:
        return BaseModelOutputWithPooling(last_hidden_state=states, pooler_output=_pooled(trunk, states))

    with forward_replaced(trunk, given):
        return cast(Tensor, network(input_ids=mask, attention_mask=mask).logits)


def text_states(hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Hidden states of a batch [B, T, H] as a row for each text [N, L, H], and which are tokens, int64 [N, L]."""
    spans = [(batch.boundaries[number], batch.boundaries[number + 1]) for number in batch.sequence_numbers]
    longest = max(stop - start for start, stop in spans)
    starts = torch.tensor([start for start, _ in spans])[:, None]
    lengths = torch.tensor([stop - start for start, stop in spans])[:, None]
    places = torch.arange(longest)[None]
    mask = (places < lengths).long()
    index = starts + torch.minimum(places, lengths - 1)
    return hidden.flatten(0, 1)[index.to(hidden.device)], mask.to(hidden.device)


def _pooled(trunk: Any, states: Tensor) -> Tensor | None:
    pooler, activation = getattr(trunk, "pooler", None), getattr(trunk, "pooler_activation", None)
    if pooler is None:
        return None
    return cast(Tensor, pooler(states) if activation is None else activation(pooler(states[:, 0])))

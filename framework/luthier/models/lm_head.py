"""The language-model head: the last hidden states of a network, and how they become logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle
from transformers.modeling_outputs import BaseModelOutput

from luthier.contracts.batch import Batch
from luthier.errors import NumericsError, RecipeError
from luthier.models import attention
from luthier.models.encoder_heads import encoder_states
from luthier.models.experts.recording import forward_of
from luthier.models.losses import chunked_cross_entropy, token_entropies, token_log_probs
from luthier.models.wrappers import forward_replaced, unwrapped


class LanguageModel(Protocol):
    """The members of a transformers causal language model that are used here."""

    config: Any

    def get_decoder(self) -> nn.Module: ...

    def get_output_embeddings(self) -> nn.Module: ...


def trunk_of(network: nn.Module) -> nn.Module | None:
    """The part of a language model that gives its last hidden states: all but its head.

    None where no module does, as in networks that call their layers one by one beside their head.
    """
    inner = cast(Any, unwrapped(network))
    decoder: nn.Module = inner.get_decoder()
    head = getattr(inner, "get_output_embeddings", lambda: None)()
    nested = decoder is not inner and hasattr(decoder, "get_decoder")
    if nested and head is not None and _holds(decoder, head):  # a language model inside of a larger one
        return trunk_of(decoder)
    embeddings = getattr(inner, "get_input_embeddings", lambda: None)()
    if embeddings is not None and (decoder is inner or not _holds(decoder, embeddings)):
        decoder = next((child for child in inner.children() if _holds(child, embeddings)), decoder)
    called = type(decoder).forward is not nn.Module.forward  # a ModuleDict holds modules and is not called itself
    return decoder if called and decoder is not embeddings and decoder is not inner else None


def _holds(network: nn.Module, part: nn.Module) -> bool:
    return any(module is part for module in network.modules())


def hidden_states(network: nn.Module, batch: Batch) -> Tensor:
    """Hidden states [B, T, H] after the last norm, each sequence of the packed batch computed as if it were alone."""
    layout = attention.layout_of(network)
    passes = attention.forward_passes(batch, layout)
    states = encoder_states if layout.bidirectional else last_hidden_state
    outputs = []
    for each in passes:
        with forward_of(each.tokens):
            outputs.append(states(network, each.inputs))
    return attention.as_the_batch(batch, passes, outputs)


def last_hidden_state(network: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    """Hidden states [B, T, H] after the last norm, from one call of the whole network.

    The network itself is called, not its trunk, so that its wrappers (PEFT, DDP, hooks) take part; logits are computed
    for the last position alone. The hidden states of virtual tokens are cut off. Without a trunk they are what the head
    is given, and logits are computed for every position.
    """
    return hidden_states_and_logits(network, inputs)[0]


def hidden_states_and_logits(network: nn.Module, inputs: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """`last_hidden_state`, and the network's own logits [B, V] of the last position."""
    caught: list[Tensor] = []

    def catch(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        caught.append(output if isinstance(output, Tensor) else output[0])

    trunk = trunk_of(network)
    handle = trunk.register_forward_hook(catch) if trunk is not None else _catch_input(network, caught)
    try:
        output = network(**inputs, logits_to_keep=1) if trunk is not None else network(**inputs)
    finally:
        handle.remove()
    if not caught:
        raise RecipeError(
            f"{type(unwrapped(network)).__name__} calls neither what its get_decoder() gives nor its output embeddings "
            "as modules, so that its last hidden states cannot be read.",
            where="model",
            hint="Make get_decoder() the module that gives the last hidden states.",
        )
    tokens = inputs["input_ids"] if inputs.get("input_ids") is not None else inputs["inputs_embeds"]
    return caught[-1][:, -tokens.shape[1] :], output.logits[:, -1]


def _catch_input(network: nn.Module, caught: list[Tensor]) -> RemovableHandle:
    """A hook that keeps what the head of a network is given."""
    head = cast(LanguageModel, unwrapped(network)).get_output_embeddings()
    return head.register_forward_pre_hook(lambda module, arguments: caught.append(arguments[0]))


@dataclass(frozen=True, slots=True)
class LMHead:
    """The last linear map of a network and what follows it: `softcap · tanh(scale · (W h + b) / softcap)`.

    `module` is the linear map, adapted or not; `scale` and `softcap` are None where the architecture has none.
    """

    module: nn.Module
    scale: float | None = None
    softcap: float | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """float32 logits [..., V]: all of them at once, so for few positions only."""
        logits = cast(Tensor, self.module(hidden)).float()
        if self.scale is not None:
            logits = logits * self.scale
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap

    def cross_entropy(
        self, hidden: Tensor, targets: Tensor, weights: Tensor, *, chunk: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """The weighted sum of cross-entropies and the sum of weights, chunk by chunk; hidden [N, H], the others [N]."""
        if not self.is_plain:
            keep = weights.nonzero().flatten()
            log_probs = self._log_probs_by_module(hidden[keep], targets[keep], chunk)
            return -(log_probs * weights[keep]).sum() + 0 * hidden.sum(), weights.sum()
        linear = cast(nn.Linear, self.module)
        return chunked_cross_entropy(
            hidden, linear.weight, targets, weights,
            scale=self.scale, softcap=self.softcap, bias=linear.bias, chunk=chunk,
        )  # fmt: skip

    def log_probs(self, hidden: Tensor, targets: Tensor, *, chunk: int | None = None) -> Tensor:
        """log p(target) of each row, chunk by chunk: float32 [N], differentiable; hidden [N, H], targets int64 [N]."""
        if not self.is_plain:
            return self._log_probs_by_module(hidden, targets, chunk)
        linear = cast(nn.Linear, self.module)
        return token_log_probs(
            hidden, linear.weight, targets,
            scale=self.scale, softcap=self.softcap, bias=linear.bias, chunk=chunk,
        )  # fmt: skip

    def entropies(self, hidden: Tensor, *, chunk: int | None = None) -> Tensor:
        """The entropy of the softmax of each row, chunk by chunk, in nats: float32 [N], differentiable."""
        if not self.is_plain:
            parts = torch.split(hidden, chunk or 256)
            return torch.cat([checkpoint(self._entropies_by_module, rows, use_reentrant=False) for rows in parts])
        linear = cast(nn.Linear, self.module)
        return token_entropies(
            hidden, linear.weight, scale=self.scale, softcap=self.softcap, bias=linear.bias, chunk=chunk
        )

    def at_temperature(self, temperature: float) -> LMHead:
        """The head whose softmax is that of this one's logits divided by `temperature`; RecipeError with a soft cap."""
        if temperature == 1:
            return self
        if self.softcap is not None:
            raise RecipeError("Capped logits cannot be divided by a temperature.", hint="Use a temperature of 1.")
        return replace(self, scale=(1.0 if self.scale is None else self.scale) / temperature)

    @property
    def is_plain(self) -> bool:
        """Whether the head is one weight matrix, neither adapted, quantized nor split over ranks.

        It can then be multiplied by directly; any other head is called, chunk by chunk.
        """
        return type(self.module) is nn.Linear and not isinstance(self.module.weight, DTensor)

    def _entropies_by_module(self, rows: Tensor) -> Tensor:
        log_probs = torch.log_softmax(self.logits(rows), dim=-1)
        return -(log_probs.exp() * log_probs).sum(-1)

    def _log_probs_by_module(self, hidden: Tensor, targets: Tensor, chunk: int | None) -> Tensor:
        def one(rows: Tensor, target: Tensor) -> Tensor:
            return torch.log_softmax(self.logits(rows), dim=-1).gather(1, target.unsqueeze(1)).squeeze(1)

        size = chunk or 256
        parts = zip(torch.split(hidden, size), torch.split(targets, size), strict=True)
        return torch.cat([checkpoint(one, rows, target, use_reentrant=False) for rows, target in parts])


def find_lm_head(network: nn.Module) -> LMHead:
    """The head of a causal language model, verified on two tokens: it reproduces the network's own logits.

    A linear map with a scale and a soft cap, multiplied by directly, or else whatever the network does (`WholeHead`).
    RecipeError where its logits do not follow from its last hidden states.
    """
    stated = lm_head_of(network)
    # a network that reads more than text may leave out what the configuration of its text tower says
    for head in (stated, replace(stated, softcap=None), replace(stated, scale=None), LMHead(stated.module)):
        if _reproduces(network, head):
            return head
    trunk = trunk_of(network)
    whole = LMHead(WholeHead(network, trunk)) if trunk is not None else None
    if whole is None or not _reproduces(network, whole):
        raise RecipeError(
            f"{type(unwrapped(network)).__name__} does more between its hidden states and its logits than a head.",
            where="model",
            hint="Choose a model whose logits follow from its last hidden states alone.",
        )
    return whole


class WholeHead(nn.Module):
    """All that a network does between its last hidden states and its logits, whatever that is.

    The network is called with given hidden states in place of those of its trunk, which is not computed.
    """

    def __init__(self, network: nn.Module, trunk: nn.Module) -> None:
        super().__init__()
        inner = unwrapped(network)
        inside = {id(module) for module in trunk.modules()}
        self.parts = nn.ModuleList(child for child in inner.children() if id(child) not in inside)
        self.call = _with_hidden_states(inner, trunk)  # in no list of modules: its weights are not the head's

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., H]."""
        flat = hidden.reshape(1, -1, hidden.shape[-1])
        return self.call(flat).view(*hidden.shape[:-1], -1)


class _Given(BaseModelOutput):
    """What a trunk gives: hidden states, and None for whatever else a network asks of it."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def _with_hidden_states(inner: nn.Module, trunk: nn.Module) -> Callable[[Tensor], Tensor]:
    def call(hidden: Tensor) -> Tensor:
        def given(*arguments: Any, **named: Any) -> _Given:
            return _Given(last_hidden_state=hidden)

        ids = torch.zeros(hidden.shape[:2], dtype=torch.int64, device=hidden.device)
        with forward_replaced(trunk, given):
            logits: Tensor = inner(input_ids=ids, use_cache=False).logits
        return logits

    return call


def lm_head_of(network: nn.Module) -> LMHead:
    """`find_lm_head` without the verification."""
    inner = cast(LanguageModel, unwrapped(network))
    config = inner.config.get_text_config()
    module = inner.get_output_embeddings()
    if module is None:
        raise RecipeError(f"{type(inner).__name__} has no head over a vocabulary, so it is no causal language model.")
    divisor, factor = getattr(config, "logits_scaling", None), getattr(config, "logit_scale", None)
    scale = 1.0 / divisor if divisor is not None else factor
    return LMHead(_active(module), scale, getattr(config, "final_logit_softcapping", None))


def _active(module: nn.Module) -> nn.Module:
    """The module that PEFT trains in place of the original one, if it keeps a copy."""
    copies, chosen = getattr(module, "modules_to_save", None), getattr(module, "active_adapters", None)
    return copies[chosen[0]] if copies is not None and chosen and not module.disable_adapters else module


def _reproduces(network: nn.Module, head: LMHead) -> bool:
    """Whether the head gives the network's own logits for two tokens; taken for granted on meta."""
    parameter = next(network.parameters())
    if parameter.device.type == "meta":
        return True
    tokens = torch.tensor([[1, 2]], device=parameter.device)
    with torch.no_grad(), torch.random.fork_rng():
        hidden, logits = hidden_states_and_logits(network, {"input_ids": tokens, "use_cache": False})
        try:
            ours = head.logits(hidden[:, -1])
        except (RuntimeError, TypeError, ValueError, AttributeError):  # it takes other hidden states, or none at all
            return False
    if not logits.isfinite().all():
        raise NumericsError(
            f"{type(unwrapped(network)).__name__} gives logits that are not finite for two tokens.",
            where="model",
            hint="Its weights hold NaN or infinity, as after a training with too high an optimizer.lr, or its dtype is "
            "too narrow for them: try model.dtype=float32.",
        )
    tolerance = 1e-4 if logits.dtype in (torch.float32, torch.float64) else 2e-2
    return ours.shape == logits.shape and torch.allclose(ours, logits.float(), rtol=tolerance, atol=tolerance)

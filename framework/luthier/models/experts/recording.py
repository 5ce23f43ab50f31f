"""Records to which experts the tokens of forward passes go, and with which router logits."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from luthier.models.experts.layers import MixtureLayer, expert_count, mixture_layers, plain, recorded_classes
from luthier.models.wrappers import unwrapped


@dataclass(slots=True)
class Recorded:
    """What a recorder saw between two moments; `loads` are counts of tokens by expert, float32 [experts] a layer."""

    loads: list[Tensor]
    """Tokens given to each expert, by layer; a token counts once for each of its experts, padding not at all."""
    keeps_logits: bool
    logits: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Router logits [N, experts] with their graph, and which of the N tokens are text, bool [N]."""


@dataclass(slots=True)
class _Passing:
    """The forward pass that is going on: which of its tokens are text."""

    tokens: Tensor | None = None


_passing = _Passing()


@contextmanager
def forward_of(tokens: Tensor) -> Iterator[None]:
    """A context around one call of a network, which says which of its tokens are text and no padding: bool [R, L]."""
    before, _passing.tokens = _passing.tokens, tokens
    try:
        yield
    finally:
        _passing.tokens = before


class RoutingRecorder:
    """Hooks on the routers and experts of a network, which act while `recording` is entered, and then only.

    A pass without gradients is not recorded where gradients are wanted, so that a reference policy is not counted, nor
    is what gradient checkpointing computes again in the backward pass. Virtual tokens are not counted.
    """

    def __init__(self, network: nn.Module) -> None:
        root = unwrapped(network)
        self._recorded: Recorded | None = None
        self._with_gradients = True
        self.layers: dict[str, int] = {}
        """The number of experts of each layer whose load is counted, by the layer's name."""
        index_of = recorded_classes(root)
        for layer in mixture_layers(network):
            self._watch_choice(layer, index_of, root)
            for router in map(plain, layer.routers.values()):
                if type(router) in index_of:
                    router.register_forward_hook(self._logits_hook(index_of[type(router)]))

    @contextmanager
    def recording(
        self, tokens: Tensor, *, keeps_logits: bool = False, with_gradients: bool = True
    ) -> Iterator[Recorded]:
        """Record the forward passes inside, those with gradients unless `with_gradients` is false.

        `tokens`, bool [B, T], is which tokens are text in calls that `forward_of` does not surround.
        """
        loads = [torch.zeros(count) for count in self.layers.values()]
        self._recorded, self._with_gradients = Recorded(loads, keeps_logits), with_gradients
        try:
            with forward_of(tokens):
                yield self._recorded
        finally:
            self._recorded = None

    def _watch_choice(self, layer: MixtureLayer, index_of: dict[type[nn.Module], int], root: Any) -> None:
        """Count the load of a layer where its experts are told which tokens they get, or by its router's outputs."""
        for experts in map(plain, layer.experts.values()):
            place = _place_of_indices(experts)
            if place is not None:
                number = self._number(layer, expert_count(experts))
                experts.register_forward_pre_hook(self._indices_hook(number, *place), with_kwargs=True)
                return
        counts = [expert_count(experts) for experts in layer.experts.values()]
        for router in map(plain, layer.routers.values()):
            if counts and (type(router) in index_of or isinstance(router, nn.Linear)):
                top_k: Any = getattr(router, "top_k", None)
                top_k = int(top_k or getattr(root.config.get_text_config(), "num_experts_per_tok", 1))
                number = self._number(layer, counts[0])
                router.register_forward_hook(self._top_k_hook(number, index_of.get(type(router), 0), top_k))
                return

    def _number(self, layer: MixtureLayer, count: int) -> int:
        self.layers[layer.name] = count
        return len(self.layers) - 1

    def _indices_hook(self, number: int, place: int, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            chosen: Any = args[place] if place < len(args) else named.get(name)
            rest = [*args[place + 1 :], *named.values()]
            weights = next((one for one in rest if isinstance(one, Tensor) and one.shape == chosen.shape), None)
            self._count(number, chosen, weights)

        return hook

    def _top_k_hook(self, number: int, index: int, top_k: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if self._recorded is not None:
                logits = output if isinstance(output, Tensor) else output[index]
                self._count(number, logits.detach().flatten(0, -2).topk(top_k, dim=-1).indices, None)

        return hook

    def _logits_hook(self, index: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            recorded = self._recorded
            if recorded is None or not recorded.keeps_logits:
                return
            logits = (output if isinstance(output, Tensor) else output[index]).flatten(0, -2)
            tokens = self._tokens(len(logits))
            if tokens is not None:
                recorded.logits.append((logits, tokens))

        return hook

    def _count(self, number: int, chosen: Any, weights: Tensor | None) -> None:
        """Add the tokens of each expert; one that a token is given with weight 0 computes nothing for it."""
        recorded = self._recorded
        if recorded is None or not isinstance(chosen, Tensor):
            return
        chosen = chosen.detach().flatten(0, -2)
        tokens = self._tokens(len(chosen))
        if tokens is None:
            return
        used = tokens.unsqueeze(-1).expand_as(chosen)
        if weights is not None:
            used = used & (weights.detach().view_as(chosen) != 0)
        count = len(recorded.loads[number])
        found = torch.where(used, chosen, count)
        found = found.float() if found.device.type in ("cpu", "mps") else found.int()  # histc takes no other there
        load = torch.histc(found, bins=count + 1, min=0, max=count)[:count].float()
        recorded.loads[number] = recorded.loads[number].to(load.device) + load

    def _tokens(self, rows: int) -> Tensor | None:
        """Which of the rows of a router are text, bool [rows]; None where this pass is not to be recorded."""
        tokens = _passing.tokens
        if tokens is None or (self._with_gradients and not torch.is_grad_enabled()) or tokens.numel() > rows:
            return None
        if tokens.numel() < rows and rows % len(tokens) == 0:  # virtual tokens before the text of each row
            tokens = nn.functional.pad(tokens, (rows // len(tokens) - tokens.shape[1], 0))
        return tokens.flatten() if tokens.numel() == rows else None


def _place_of_indices(experts: nn.Module) -> tuple[int, str] | None:
    """At which place of its forward pass, and under which name, a module is told the experts of each token."""
    names = list(inspect.signature(type(experts).forward).parameters)[1:]
    return next(((at, name) for at, name in enumerate(names) if name.endswith(("_index", "_indices"))), None)

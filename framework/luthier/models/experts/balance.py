"""The load-balancing loss of experts (Fedus et al., 2021, equations 4 to 6), as transformers computes it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from luthier.errors import RecipeError
from luthier.models.experts.layers import mixture_layers, routing_weights
from luthier.models.wrappers import unwrapped

_COEFFICIENTS = ("router_aux_loss_coef", "aux_loss_coef", "moe_loss_weight")
"""The fields of a configuration that hold the coefficient of the loss, each in some architectures."""


@dataclass(frozen=True, slots=True)
class RoutingTotals:
    """Sums over the text tokens of all routers: what the loss of any number of forward passes is made of."""

    chosen: Tensor
    """How often each expert was among the top k, float32 [experts], without a graph."""
    probability: Tensor
    """The sum of its probabilities, float32 [experts], with a graph."""
    rows: Tensor
    """Tokens times routers, a scalar."""

    def loss(self) -> Tensor:
        """experts · Σᵢ fᵢ Pᵢ: k where all experts are chosen alike, more the less they are."""
        return balancing_loss(self.chosen, self.probability, self.rows)


def balancing_loss(chosen: Tensor, probability: Tensor, rows: Tensor) -> Tensor:
    """experts · Σᵢ fᵢ Pᵢ with the shares fᵢ = chosen / rows and the mean probabilities Pᵢ = probability / rows."""
    return len(chosen) * (chosen / rows.clamp_min(1) * probability / rows.clamp_min(1)).sum()


def routing_totals(logits: Iterable[tuple[Tensor, Tensor]], top_k: int) -> RoutingTotals:
    """The totals of router logits [N, experts], each with which of its N tokens are text, bool [N]."""
    chosen = probability = rows = torch.zeros(())
    for scores, tokens in logits:
        weights = tokens.to(scores.device, torch.float32)
        probabilities = torch.softmax(scores.float(), dim=-1)
        picked = probabilities.detach().topk(top_k, dim=-1).indices
        mask = torch.zeros_like(probabilities).scatter(-1, picked, 1.0)
        chosen = chosen.to(scores.device) + weights @ mask
        probability = probability.to(scores.device) + weights @ probabilities
        rows = rows.to(scores.device) + weights.sum()
    return RoutingTotals(chosen.detach(), probability, rows)


def own_coefficient(config: Any) -> float | None:
    """The coefficient that an architecture states for its load-balancing loss; None where it states none."""
    text = config.get_text_config()
    for holder in (text, getattr(text, "ffn_config", None)):
        for name in _COEFFICIENTS:
            value = getattr(holder, name, None)
            if value is not None:
                return float(value)
    return None


class BalancesExperts(Protocol):
    """What of a training method decides on the load-balancing loss."""

    @property
    def balances_experts(self) -> bool: ...

    @property
    def router_aux_loss_coef(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Coefficient:
    """The coefficient of the load-balancing loss in a training, and why it is that."""

    value: float
    description: str


def balancing_coefficient(method: BalancesExperts, network: nn.Module) -> Coefficient:
    """The coefficient with which a method adds the loss for an adapted network.

    Without a setting it is the architecture's own where routers are trained; frozen routers cannot be balanced but by
    changing what comes before them. RecipeError for a coefficient where there is no such loss.
    """
    setting, kind = method.router_aux_loss_coef, type(unwrapped(network)).__name__
    if not method.balances_experts:
        return Coefficient(0.0, f"none: {type(method).__name__} adds none")
    has_loss = balanced_top_k(network) is not None
    if setting and not (has_loss and mixture_layers(network)):
        why = "has no such loss in transformers" if mixture_layers(network) else "has no experts"
        raise RecipeError(
            f"{kind} {why}, which method.router_aux_loss_coef would weight.",
            where="method.router_aux_loss_coef",
            hint="Set method.router_aux_loss_coef=0.",
        )
    if setting is not None:
        return Coefficient(setting, f"coefficient {setting:g}, as set" if setting else "none, as set")
    own = own_coefficient(network.config)
    if not has_loss:
        return Coefficient(0.0, f"none: {kind} has none in transformers")
    if not own:
        return Coefficient(0.0, f"none: the configuration of {kind} states no coefficient")
    if not any(weight.requires_grad for weight in routing_weights(network).values()):
        return Coefficient(0.0, f"none, as routers are frozen; with trained ones the architecture's own, {own:g}")
    return Coefficient(own, f"coefficient {own:g}, the architecture's own")


def balanced_top_k(network: nn.Module) -> int | None:
    """The k of the top-k choice in the load-balancing loss of an architecture.

    None where transformers has no such loss for it, or another than this module computes: routers that score experts
    by a sigmoid are balanced by a bias while they are pre-trained, and product keys have a loss of their own.
    """
    root: Any = unwrapped(network)
    own = getattr(sys.modules[type(root).__module__], "load_balancing_loss_func", None)
    top_k = getattr(root, "num_experts_per_tok", None) or getattr(
        root.config.get_text_config(), "num_experts_per_tok", None
    )
    return int(top_k) if own is not None and top_k and _is_ours(own) else None


def _is_ours(own: Any) -> bool:
    """Whether a function gives what `balancing_loss` gives, for two routers and seven tokens, two of them padding."""
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(7, 4, generator=generator) for _ in range(2)]
    tokens = torch.tensor([[1, 1, 1, 1, 1, 0, 0]])
    try:
        theirs = own(tuple(logits), 4, 2, tokens)
    except (TypeError, ValueError, RuntimeError, IndexError):
        return False
    ours = routing_totals([(one, tokens[0] > 0) for one in logits], 2).loss()
    return torch.is_tensor(theirs) and bool(torch.allclose(theirs.float(), ours, atol=1e-5))

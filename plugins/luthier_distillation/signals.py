"""Signals: the distance of the student's distribution over the next token from the teacher's, for `method/signal`.

In the formulas p is the teacher's distribution over the vocabulary and q the student's, both at the temperature T:
softmax(logits / T). Losses are in nats, for each token.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from luthier.api import RecipeError, Signal, TokenDistributions, check_names
from luthier_distillation.layer_distance import LayerDistance
from luthier_distillation.token_losses import token_losses


class HardLabels(Signal):
    """-log q(token of the data): no teacher, for mixtures, and as the baseline without one."""

    needs_teacher, any_vocabulary = False, True

    def __call__(self, distributions: TokenDistributions) -> Tensor:
        return -distributions.student_log_probs().gather(1, distributions.targets.unsqueeze(1)).squeeze(1)


class SoftTargets(Signal, ABC):
    """A divergence of p and q at a temperature, times T^`power`.

    So the gradients keep their size as the temperature rises (Hinton et al., 2015, section 2).
    """

    power = 2

    def __init__(self, *, temperature: float = 1.0) -> None:
        if not 0 < temperature < math.inf:
            raise RecipeError(f"The temperature is {temperature}.", where="method.signal", hint="Use more than 0.")
        self.temperature = temperature

    def __call__(self, distributions: TokenDistributions) -> Tensor:
        return self.temperature**self.power * self.divergence(*distributions.shared_log_probs(self.temperature))

    @abstractmethod
    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        """The divergence of each token, [n]; `p` and `q` are log-probabilities."""


class ForwardKl(SoftTargets):
    """KL(p ‖ q) = Σ p log(p / q): mode-covering, the usual loss of distillation (Hinton et al., 2015)."""

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        return _kl(p, q)


class ReverseKl(SoftTargets):
    """KL(q ‖ p) = Σ q log(q / p): mode-seeking, the student avoids tokens unlikely to the teacher (Gu et al., 2024)."""

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        return _kl(q, p)


class JensenShannon(SoftTargets):
    """Generalized JSD: β KL(p ‖ m) + (1 - β) KL(q ‖ m), m = β p + (1 - β) q (Agarwal et al., 2024, equation 1).

    Divided by β it goes to the forward KL divergence as β goes to 0; divided by 1 - β to the reverse one, towards 1.
    """

    def __init__(self, *, beta: float = 0.5, temperature: float = 1.0) -> None:
        super().__init__(temperature=temperature)
        self.beta = _between_0_and_1(beta, "beta", "method/signal=forward_kl and reverse_kl are its ends.")

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        mixture = _mixture(p, q, self.beta)
        return self.beta * _kl(p, mixture) + (1 - self.beta) * _kl(q, mixture)


class SkewedKl(SoftTargets):
    """KL(p ‖ α p + (1 - α) q): forward KL whose gradients stay bounded (DistiLLM, Ko et al., 2024)."""

    def __init__(self, *, skew: float = 0.1, temperature: float = 1.0) -> None:
        super().__init__(temperature=temperature)
        self.skew = _between_0_and_1(skew, "skew", "method/signal=forward_kl has none.")

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        return _kl(p, _mixture(p, q, self.skew))


class SkewedReverseKl(SkewedKl):
    """KL(q ‖ α q + (1 - α) p), the other way round (Ko et al., 2024)."""

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        return _kl(q, _mixture(q, p, self.skew))


class TotalVariation(SoftTargets):
    """½ Σ |p - q|: the probability that tokens drawn from the two under the best coupling differ (Wen et al., 2023)."""

    power = 1

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        return (p.exp() - q.exp()).abs().sum(-1) / 2


class Universal(SoftTargets):
    """Σ |p(i) - q(i)| over the ranks i, both sorted, the shorter one padded with 0 (Boizard et al., 2024).

    Tokens are compared by rank alone, so that the two may have different vocabularies.
    """

    power, any_vocabulary = 1, True

    def divergence(self, p: Tensor, q: Tensor) -> Tensor:
        width = max(p.shape[-1], q.shape[-1])
        by_rank = (log_probs.exp().sort(dim=-1, descending=True).values for log_probs in (p, q))
        padded = (torch.nn.functional.pad(probs, (0, width - probs.shape[-1])) for probs in by_rank)
        return torch.sub(*padded).abs().sum(-1)


class Weighted(Signal):
    """Σ weight · signal over the named signals; a signal without a weight has the weight 1."""

    def __init__(self, *, signals: dict[str, Any] | None = None, weights: dict[str, float] | None = None) -> None:
        self.signals: Mapping[str, Signal] = signals or {}
        self.weights = weights or {}
        check_names(self.weights, self.signals, kind="signal", use="to give a weight to", where="method.signal.weights")
        if not self.signals:
            raise RecipeError(
                "The weighted sum has no signals.",
                where="method.signal.signals",
                hint="In a recipe's defaults: /method/signal@method.signal.signals.NAME: forward_kl, for each.",
            )
        self.needs_teacher = any(signal.needs_teacher for signal in self.signals.values())
        self.any_vocabulary = all(signal.any_vocabulary for signal in self.signals.values())

    def __call__(self, distributions: TokenDistributions) -> Tensor:
        losses = [self._weight(name) * token_losses(signal, distributions) for name, signal in self.signals.items()]
        return torch.stack(losses).sum(0)

    def layer_distances(self) -> list[tuple[float, LayerDistance]]:
        return [
            (self._weight(name) * weight, distance)
            for name, signal in self.signals.items()
            for weight, distance in signal.layer_distances()
        ]

    @property
    def compares_distributions(self) -> bool:
        return any(signal.compares_distributions for signal in self.signals.values())

    def _weight(self, name: str) -> float:
        return self.weights.get(name, 1.0)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p ‖ q) of each token, [n], from log-probabilities."""
    return (p.exp() * (p - q)).sum(-1)


def _mixture(p: Tensor, q: Tensor, share: float) -> Tensor:
    """log(share · p + (1 - share) · q)."""
    return torch.logaddexp(p + math.log(share), q + math.log1p(-share))


def _between_0_and_1(value: float, name: str, hint: str) -> float:
    if not 0 < value < 1:
        raise RecipeError(f"{name} is {value}, which is not between 0 and 1.", where=f"method.signal.{name}", hint=hint)
    return value

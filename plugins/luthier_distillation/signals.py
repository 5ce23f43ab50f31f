"""What of the teacher does the student follow? Each answer says how far a student's next token is from the teacher's.

In the formulas p is the teacher's distribution over the vocabulary and q the student's, both at the temperature T:
softmax(logits / T). Losses are in nats, for each token.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from luthier.api import RecipeError

if TYPE_CHECKING:
    from luthier_distillation.feature_distillation import Inner


class Seen:
    """What a signal may look at for n tokens; each distribution is made once, when it is first asked for.

    `logits` are the student's, [n, V]; `told(T)` gives the teacher's log-probabilities at a temperature, in a form
    that `project` brings the student's into; `targets` int64 [n] are the tokens of the data.
    """

    def __init__(
        self,
        logits: Tensor,
        told: Callable[[float], Tensor],
        targets: Tensor,
        project: Callable[[Tensor], Tensor] = lambda log_probs: log_probs,
    ) -> None:
        self.logits, self.told, self.targets, self.project = logits, told, targets, project
        self._student: dict[float, Tensor] = {}
        self._teacher: dict[float, Tensor] = {}

    def student(self, temperature: float = 1.0) -> Tensor:
        """log q over the student's vocabulary, [n, V]."""
        if temperature not in self._student:
            self._student[temperature] = torch.log_softmax(self.logits / temperature, dim=-1)
        return self._student[temperature]

    def both(self, temperature: float) -> tuple[Tensor, Tensor]:
        """log p and log q over what the two have in common, without gradients for p."""
        if temperature not in self._teacher:
            with torch.no_grad():
                self._teacher[temperature] = self.told(temperature)
        return self._teacher[temperature], self.project(self.student(temperature))

    def agreed(self) -> Tensor:
        """Where both find the same token likeliest, bool [n]; at whichever temperature was asked for already."""
        p, q = self.both(next(iter(self._teacher), 1.0))
        return p.argmax(-1) == q.argmax(-1)


class Signal:
    """What the student is trained on: the loss of each token from what both say, [n], and what goes on inside."""

    asks_teacher = True
    any_vocabulary = False
    """Whether it can compare distributions over different tokens."""

    def __call__(self, seen: Seen) -> Tensor:
        return 0 * seen.logits[:, 0]

    def inner(self) -> list[tuple[float, Inner]]:
        """What of it looks inside the networks, with weights."""
        return []

    @property
    def speaks(self) -> bool:
        """Whether it compares what the two say."""
        return type(self).__call__ is not Signal.__call__


class HardLabels(Signal):
    """-log q(token of the data): no teacher, for mixtures, and for the same training without one."""

    asks_teacher, any_vocabulary = False, True

    def __call__(self, seen: Seen) -> Tensor:
        return -seen.student().gather(1, seen.targets.unsqueeze(1)).squeeze(1)


class Soft(Signal, ABC):
    """A distance of p and q at a temperature, times T^`power`.

    So the gradients keep their size as the temperature rises (Hinton et al., 2015, section 2).
    """

    power = 2

    def __init__(self, *, temperature: float = 1.0) -> None:
        if not 0 < temperature < math.inf:
            raise RecipeError(f"The temperature is {temperature}.", where="method.signal", hint="Use more than 0.")
        self.temperature = temperature

    def __call__(self, seen: Seen) -> Tensor:
        return self.temperature**self.power * self.distance(*seen.both(self.temperature))

    @abstractmethod
    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        """[n], from the logarithms of both."""


class ForwardKl(Soft):
    """KL(p ‖ q) = Σ p log(p / q): the student must cover all that the teacher finds likely (Hinton et al., 2015)."""

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        return _kl(p, q)


class ReverseKl(Soft):
    """KL(q ‖ p) = Σ q log(q / p): the student must say nothing that the teacher finds unlikely (Gu et al., 2024)."""

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        return _kl(q, p)


class JensenShannon(Soft):
    """β KL(p ‖ m) + (1 - β) KL(q ‖ m) with m = β p + (1 - β) q (Agarwal et al., 2024, equation 1).

    Divided by β it goes to the forward KL divergence as β goes to 0; divided by 1 - β to the reverse one, towards 1.
    """

    def __init__(self, *, beta: float = 0.5, temperature: float = 1.0) -> None:
        super().__init__(temperature=temperature)
        self.beta = _inside(beta, "beta", "method/signal=forward_kl and reverse_kl are its ends.")

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        middle = _mixed(p, q, self.beta)
        return self.beta * _kl(p, middle) + (1 - self.beta) * _kl(q, middle)


class SkewedKl(Soft):
    """KL(p ‖ α p + (1 - α) q): forward KL whose gradients stay bounded (DistiLLM, Ko et al., 2024)."""

    def __init__(self, *, skew: float = 0.1, temperature: float = 1.0) -> None:
        super().__init__(temperature=temperature)
        self.skew = _inside(skew, "skew", "method/signal=forward_kl has none.")

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        return _kl(p, _mixed(p, q, self.skew))


class SkewedReverseKl(SkewedKl):
    """KL(q ‖ α q + (1 - α) p), the other way round (Ko et al., 2024)."""

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        return _kl(q, _mixed(q, p, self.skew))


class TotalVariation(Soft):
    """½ Σ |p - q|: the share of the tokens that would be others (Wen et al., 2023)."""

    power = 1

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        return (p.exp() - q.exp()).abs().sum(-1) / 2


class Universal(Soft):
    """Σ |p(i) - q(i)| over the ranks i, both sorted, the shorter one filled up with 0 (Boizard et al., 2024).

    It never asks which token stands at a rank, so that the two may have different vocabularies.
    """

    power, any_vocabulary = 1, True

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        sorted_p, sorted_q = (each.exp().sort(dim=-1, descending=True).values for each in (p, q))
        width = max(p.shape[-1], q.shape[-1])
        filled = (torch.nn.functional.pad(each, (0, width - each.shape[-1])) for each in (sorted_p, sorted_q))
        return torch.sub(*filled).abs().sum(-1)


class Weighted(Signal):
    """Σ weight · signal over the named signals; one without a weight counts once."""

    def __init__(self, *, signals: dict[str, Any] | None = None, weights: dict[str, float] | None = None) -> None:
        self.signals: Mapping[str, Signal] = signals or {}
        self.weights = weights or {}
        if not self.signals or set(self.weights) - set(self.signals):
            raise RecipeError(
                f"A mixture of {', '.join(self.signals) or 'nothing'} has weights for "
                f"{', '.join(self.weights) or 'nothing'}.",
                where="method.signal",
                hint="In a recipe's defaults: /method/signal@method.signal.signals.NAME: forward_kl, for each.",
            )
        self.asks_teacher = any(signal.asks_teacher for signal in self.signals.values())
        self.any_vocabulary = all(signal.any_vocabulary for signal in self.signals.values())

    def __call__(self, seen: Seen) -> Tensor:
        return torch.stack([self._weight(name) * signal(seen) for name, signal in self.signals.items()]).sum(0)

    def inner(self) -> list[tuple[float, Inner]]:
        return [
            (self._weight(name) * weight, inner)
            for name, signal in self.signals.items()
            for weight, inner in signal.inner()
        ]

    @property
    def speaks(self) -> bool:
        return any(signal.speaks for signal in self.signals.values())

    def _weight(self, name: str) -> float:
        return self.weights.get(name, 1.0)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum(-1)


def _mixed(p: Tensor, q: Tensor, share: float) -> Tensor:
    """log(share · p + (1 - share) · q)."""
    return torch.logaddexp(p + math.log(share), q + math.log1p(-share))


def _inside(value: float, name: str, hint: str) -> float:
    if not 0 < value < 1:
        raise RecipeError(f"{name} is {value}, which is not between 0 and 1.", where=f"method.signal.{name}", hint=hint)
    return value

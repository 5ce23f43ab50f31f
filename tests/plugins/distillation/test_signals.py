"""Each signal is its formula, by hand and by TRL; chunks change neither loss nor gradient."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luthier.api import Signal, TokenDistributions
from luthier.errors import PluginError, RecipeError
from luthier.models.chunked_losses import chunked_loss
from luthier.models.lm_head import LMHead
from luthier_distillation import signals
from tests.plugins.distillation.tiny_logits import LABELS, logits

REFERENCE = json.loads((Path(__file__).parent / "trl_reference.json").read_text())
P, Q = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])


def distributions(student: Tensor, teacher: Tensor, targets: Tensor | None = None) -> TokenDistributions:
    tokens = torch.zeros(len(student), dtype=torch.long) if targets is None else targets
    return TokenDistributions(student, lambda temperature: torch.log_softmax(teacher / temperature, dim=-1), tokens)


def of_hand(signal: Signal) -> float:
    student, teacher = (torch.tensor(np.log(probs))[None] for probs in (Q, P))
    return float(signal(distributions(student, teacher, torch.tensor([1])))[0])


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))


def sharper(p: np.ndarray, temperature: float) -> np.ndarray:
    return p ** (1 / temperature) / (p ** (1 / temperature)).sum()


def test_signals_are_their_formulas_by_hand() -> None:
    middle = 0.2 * P + 0.8 * Q
    by_hand = {
        signals.ForwardKl(): 0.7 * np.log(7 / 3) + 0.2 * np.log(2 / 3) + 0.1 * np.log(1 / 4),
        signals.ReverseKl(): kl(Q, P),
        signals.JensenShannon(beta=0.2): 0.2 * kl(P, middle) + 0.8 * kl(Q, middle),
        signals.SkewedKl(skew=0.1): kl(P, 0.1 * P + 0.9 * Q),
        signals.SkewedReverseKl(skew=0.1): kl(Q, 0.1 * Q + 0.9 * P),
        signals.TotalVariation(): (0.4 + 0.1 + 0.3) / 2,
        signals.HardLabels(): -np.log(0.3),
        signals.ForwardKl(temperature=2.0): 4 * kl(sharper(P, 2), sharper(Q, 2)),
        signals.TotalVariation(temperature=2.0): np.abs(sharper(P, 2) - sharper(Q, 2)).sum(),
    }
    for signal, expected in by_hand.items():
        assert of_hand(signal) == pytest.approx(expected, abs=1e-9), type(signal).__name__


def test_a_mixture_is_the_weighted_sum_of_its_signals() -> None:
    mixture = signals.Weighted(
        signals={"soft": signals.ForwardKl(), "hard": signals.HardLabels()}, weights={"hard": 0.25}
    )
    assert of_hand(mixture) == pytest.approx(kl(P, Q) - 0.25 * np.log(0.3))
    assert mixture.needs_teacher
    assert not signals.Weighted(signals={"hard": signals.HardLabels()}).needs_teacher


@pytest.mark.parametrize("given", [None, 1.0, torch.tensor(1.0), torch.ones(1, 3), torch.ones(1, dtype=torch.long)])
def test_a_signal_in_a_weighted_sum_that_gives_no_loss_of_each_token_is_named(given: object) -> None:
    class Mine(signals.HardLabels):
        def __call__(self, distributions: TokenDistributions) -> object:
            return given

    with pytest.raises(PluginError, match=r"Mine \(test_signals.py:.* must return a tensor of the loss of each token"):
        of_hand(signals.Weighted(signals={"soft": signals.ForwardKl(), "mine": Mine()}))


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: f"{case['beta']}-{case['temperature']}")
def test_loss_and_gradient_are_those_of_trl(case: dict) -> None:
    """TRL does not multiply by the square of the temperature."""
    beta, temperature = case["beta"], case["temperature"]
    kind = {0.0: signals.ForwardKl, 1.0: signals.ReverseKl}.get(beta)
    signal = kind(temperature=temperature) if kind else signals.JensenShannon(beta=beta, temperature=temperature)
    kept = (torch.tensor(LABELS) != -100).flatten()
    student = logits(1).requires_grad_()
    loss = signal(distributions(student.view(-1, 7), logits(2).view(-1, 7)))[kept].sum() / kept.sum() / temperature**2
    loss.backward()
    assert loss.item() == pytest.approx(case["loss"], abs=1e-5)
    assert student.grad is not None
    assert torch.allclose(student.grad.flatten()[:12], torch.tensor(case["gradient"]), atol=1e-5)


def test_values_out_of_range_are_refused() -> None:
    for wrong in (
        lambda: signals.JensenShannon(beta=1.0),
        lambda: signals.SkewedKl(skew=0.0),
        lambda: signals.ForwardKl(temperature=0.0),
        lambda: signals.Weighted(),
        lambda: signals.Weighted(signals={"a": signals.HardLabels()}, weights={"b": 1.0}),
    ):
        with pytest.raises(RecipeError):
            wrong()


@pytest.mark.parametrize("form", [{}, {"scale": 0.5}, {"softcap": 3.0}])
@pytest.mark.parametrize("chunk", [1, 4, None])
def test_chunks_change_neither_loss_nor_gradients(form: dict, chunk: int | None) -> None:
    torch.manual_seed(0)
    module, weights = nn.Linear(5, 11).double(), torch.rand(10)
    hidden = torch.randn(10, 5, dtype=torch.float64, requires_grad=True)
    head, teacher, signal = LMHead(module, **form), torch.randn(10, 11), signals.JensenShannon(temperature=1.5)

    def measure(logits: Tensor, rows: slice) -> Tensor:
        return signal(distributions(logits, teacher[rows]))

    wanted = (hidden, module.weight, module.bias)
    plain = (measure(head.logits(hidden), slice(None)) * weights).sum()
    expected = torch.autograd.grad(3 * plain, wanted)
    total = chunked_loss(head, hidden, weights, measure, chunk=chunk)
    found = torch.autograd.grad(3 * total, wanted)
    assert total.item() == pytest.approx(plain.item(), rel=1e-6)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        assert chunked_loss(head, hidden, weights, measure, chunk=chunk).item() == pytest.approx(plain.item(), rel=1e-6)


def test_a_frozen_head_and_one_under_autocast_give_gradients_where_they_should() -> None:
    module, weights = nn.Linear(8, 16, bias=False), torch.ones(6)
    hidden, teacher = torch.randn(6, 8, requires_grad=True), torch.randn(6, 16)

    def total() -> Tensor:
        return chunked_loss(LMHead(module), hidden, weights, lambda own, rows: (own - teacher[rows]).square().sum(-1))

    with torch.autocast("cpu", torch.bfloat16):
        total().backward()
    exact = torch.autograd.grad(((module(hidden) - teacher) ** 2).sum(), module.weight)[0]
    assert module.weight.grad is not None
    assert torch.allclose(module.weight.grad, exact, rtol=0.1, atol=0.5)
    module.requires_grad_(False)
    module.weight.grad = hidden.grad = None
    total().backward()
    assert module.weight.grad is None
    assert hidden.grad is not None
    assert chunked_loss(LMHead(module), hidden[:0], weights[:0], lambda own, rows: own.sum(-1)).item() == 0

"""Objectives of preference pairs: one function each, with the equation of its paper.

In the formulas w is the chosen answer and l the rejected one, r = log π_θ - log π_ref the log-ratio of an answer,
h = β (r_w - r_l), σ the logistic function, |y| the number of tokens of an answer. Each returns the loss of every pair,
float32 [P].
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from luthier.api import PairLoss, PreferencePairs, RecipeError, check_names


def sigmoid(
    pairs: PreferencePairs,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    normalised: bool = False,
    offset: float = 0.0,
) -> Tensor:
    """-(1 - ε) log σ(h) - ε log σ(-h): DPO (Rafailov et al., 2023, equation 7), ε > 0: cDPO (Mitchell, 2023).

    `normalised` divides log-ratios by the length of the answer; `offset` times the pair's margin is subtracted from h
    (ODPO, Amini et al., 2024, equation 8).
    """
    return _smoothed(beta * _difference(pairs, normalised) - offset * pairs.margin, label_smoothing)


def robust(pairs: PreferencePairs, *, beta: float = 0.1, label_smoothing: float = 0.1) -> Tensor:
    """(-(1 - ε) log σ(h) + ε log σ(-h)) / (1 - 2ε): unbiased where a share ε of the labels is flipped.

    Chowdhury et al., 2024, equation 12.
    """
    if not 0 <= label_smoothing < 0.5:
        raise RecipeError(
            f"label_smoothing is {label_smoothing}, and must be at least 0 and below 0.5.", where="method.objective"
        )
    h = beta * pairs.log_ratio_difference
    return (-(1 - label_smoothing) * logsigmoid(h) + label_smoothing * logsigmoid(-h)) / (1 - 2 * label_smoothing)


def hinge(pairs: PreferencePairs, *, beta: float = 0.1) -> Tensor:
    """max(0, 1 - h): the hinge loss of SLiC on the difference of DPO (Liu et al., 2024, RSO, equation 10)."""
    return torch.relu(1 - beta * pairs.log_ratio_difference)


def ipo(pairs: PreferencePairs, *, beta: float = 0.1, normalised: bool = True) -> Tensor:
    """(r_w - r_l - 1 / 2β)²: regression of the difference on a target (Azar et al., 2023, equation 17).

    `normalised` divides log-ratios by the length of the answer, as the paper's authors do in their results.
    """
    return (_difference(pairs, normalised) - 1 / (2 * beta)).square()


def exo(pairs: PreferencePairs, *, beta: float = 0.1, label_smoothing: float = 1e-3) -> Tensor:
    """KL((σ(h), σ(-h)) ‖ (1 - ε, ε)): the reverse KL to the smoothed preference (Ji et al., 2024, equation 16)."""
    if not 0 < label_smoothing < 1:
        raise RecipeError("exo needs smoothed labels: 0 < label_smoothing < 1.", where="method.objective")
    h = beta * pairs.log_ratio_difference
    right, flipped = math.log1p(-label_smoothing), math.log(label_smoothing)
    return h.sigmoid() * (logsigmoid(h) - right) + (-h).sigmoid() * (logsigmoid(-h) - flipped)


def nca(pairs: PreferencePairs, *, beta: float = 0.1) -> Tensor:
    """-log σ(β r_w) - ½ log σ(-β r_w) - ½ log σ(-β r_l): NCA (Chen et al., 2024, equation 11 for two answers).

    It optimises the likelihood of each answer, not their difference only, so that the chosen one does not fall.
    """
    chosen, rejected = beta * pairs.chosen_log_ratio, beta * pairs.rejected_log_ratio
    return -logsigmoid(chosen) - 0.5 * logsigmoid(-chosen) - 0.5 * logsigmoid(-rejected)


def apo_zero(pairs: PreferencePairs, *, beta: float = 0.1) -> Tensor:
    """1 - σ(β r_w) + σ(β r_l): raises chosen and lowers rejected answers (D'Oosterlinck et al., 2024, equation 7).

    For data whose chosen answers are better than those of the model.
    """
    return 1 - (beta * pairs.chosen_log_ratio).sigmoid() + (beta * pairs.rejected_log_ratio).sigmoid()


def apo_down(pairs: PreferencePairs, *, beta: float = 0.1) -> Tensor:
    """σ(β r_w) + 1 - σ(h): lowers both, the rejected answers more (D'Oosterlinck et al., 2024, equation 8).

    For data whose chosen answers are worse than those of the model.
    """
    return (beta * pairs.chosen_log_ratio).sigmoid() + 1 - (beta * pairs.log_ratio_difference).sigmoid()


def simpo(pairs: PreferencePairs, *, beta: float = 2.0, margin: float = 1.0, label_smoothing: float = 0.0) -> Tensor:
    """-log σ(β (log p_w / |w| - log p_l / |l|) - γ), without a reference (Meng et al., 2024, equation 6)."""
    return _smoothed(beta * (pairs.chosen_token_mean - pairs.rejected_token_mean) - margin, label_smoothing)


def cpo(pairs: PreferencePairs, *, beta: float = 0.1, nll: float = 1.0, label_smoothing: float = 0.0) -> Tensor:
    """-log σ(β (log p_w - log p_l)) - α log p_w / |w|, without a reference (Xu et al., 2024, equations 5 and 6).

    `nll` is the weight α of the mean negative log-likelihood per token of the chosen answer.
    """
    return _smoothed(beta * (pairs.chosen - pairs.rejected), label_smoothing) - nll * pairs.chosen_token_mean


def orpo(pairs: PreferencePairs, *, beta: float = 0.1, nll: float = 1.0) -> Tensor:
    """-log p_w / |w| - β log σ(log odds_w - log odds_l), odds = P / (1 - P), P = p^(1 / |y|), without a reference.

    Hong et al., 2024, equations 6 and 7. `nll` is the weight of the first term.
    """
    odds = (
        pairs.chosen_token_mean
        - _log1mexp(pairs.chosen_token_mean)
        - pairs.rejected_token_mean
        + _log1mexp(pairs.rejected_token_mean)
    )
    return -nll * pairs.chosen_token_mean - beta * logsigmoid(odds)


def likelihood(pairs: PreferencePairs) -> Tensor:
    """-log p_w / |w|: the negative log-likelihood of chosen answers, a term for mixtures (RPO, Pang et al., 2024)."""
    return -pairs.chosen_token_mean


def mixture(
    pairs: PreferencePairs, *, objectives: dict[str, PairLoss] | None = None, weights: dict[str, float] | None = None
) -> Tensor:
    """Σ weight · objective over the named objectives; the weight of one that `weights` does not name is 1."""
    terms: Mapping[str, PairLoss] = objectives or {}
    factors = weights or {}
    check_names(factors, terms, kind="objective", use="to give a weight to", where="method.objective.weights")
    if not terms:
        raise RecipeError(
            "The mixture has no objectives.",
            where="method.objective.objectives",
            hint="In a recipe's defaults: /method/objective@method.objective.objectives.NAME: sigmoid, for each.",
        )
    return torch.stack([factors.get(name, 1.0) * objective(pairs) for name, objective in terms.items()]).sum(0)


def _difference(pairs: PreferencePairs, normalised: bool) -> Tensor:
    if not normalised:
        return pairs.log_ratio_difference
    return pairs.chosen_log_ratio / pairs.chosen_tokens - pairs.rejected_log_ratio / pairs.rejected_tokens


def _smoothed(h: Tensor, label_smoothing: float) -> Tensor:
    return -(1 - label_smoothing) * logsigmoid(h) - label_smoothing * logsigmoid(-h)


def _log1mexp(negative: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0, without loss of digits near 0 (Mächler, 2012); x = 0 counts as -1e-7."""
    x = negative.clamp(max=-1e-7)
    near = x > -math.log(2)
    close, far = torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(torch.where(near, -1.0, x)))
    return torch.where(near, close, far)

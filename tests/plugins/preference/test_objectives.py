"""Every objective by its paper's formula, worked out by hand, and by TRL's own value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from luthier.contracts.preferences import PreferencePairs, RatedAnswers
from luthier.errors import PluginError, RecipeError
from luthier_preference import objectives as o
from luthier_preference.reference_use import uses_reference
from luthier_preference.unpaired_objectives import apo_unpaired, kto
from tests.plugins.preference.tiny_pairs import MARGINS, PAIRS, network

TRL = json.loads(Path(__file__).with_name("trl_reference.json").read_text())
BETA = TRL["beta"]


def s(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def ls(x: float) -> float:
    return math.log(s(x))


W, L, RW, RL, NW, NL, M = -4.0, -9.0, -5.0, -6.5, 2, 3, 1.5  # log p, log p_ref, tokens, margin
RATIO_W, RATIO_L = W - RW, L - RL  # 1.0 and -2.5
H = 0.5 * (RATIO_W - RATIO_L)  # β = 0.5
odds = math.log(math.exp(W / NW) / (1 - math.exp(W / NW))) - math.log(math.exp(L / NL) / (1 - math.exp(L / NL)))
BY_HAND: dict[str, tuple[Callable[[PreferencePairs], Tensor], float]] = {
    "sigmoid": (partial(o.sigmoid, beta=0.5), -ls(H)),
    "cdpo": (partial(o.sigmoid, beta=0.5, label_smoothing=0.2), -0.8 * ls(H) - 0.2 * ls(-H)),
    "odpo": (partial(o.sigmoid, beta=0.5, offset=2.0), -ls(H - 2 * M)),
    "normalised": (partial(o.sigmoid, beta=0.5, normalised=True), -ls(0.5 * (RATIO_W / 2 - RATIO_L / 3))),
    "robust": (partial(o.robust, beta=0.5, label_smoothing=0.2), (-0.8 * ls(H) + 0.2 * ls(-H)) / 0.6),
    "hinge": (partial(o.hinge, beta=0.1), 1 - 0.35),
    "hinge that is content": (partial(o.hinge, beta=0.5), 0.0),
    "ipo": (partial(o.ipo, beta=0.5), (0.5 + 2.5 / 3 - 1) ** 2),
    "ipo on sums": (partial(o.ipo, beta=0.5, normalised=False), (3.5 - 1) ** 2),
    "exo": (
        partial(o.exo, beta=0.5, label_smoothing=0.1),
        s(H) * (ls(H) - math.log(0.9)) + s(-H) * (ls(-H) - math.log(0.1)),
    ),
    "nca": (partial(o.nca, beta=0.5), -ls(0.5) - 0.5 * ls(-0.5) - 0.5 * ls(1.25)),
    "apo_zero": (partial(o.apo_zero, beta=0.5), 1 - s(0.5) + s(-1.25)),
    "apo_down": (partial(o.apo_down, beta=0.5), s(0.5) + 1 - s(H)),
    "simpo": (partial(o.simpo, beta=2.0, margin=0.7), -ls(2 * (W / NW - L / NL) - 0.7)),
    "cpo": (partial(o.cpo, beta=0.5, nll=0.3), -ls(0.5 * (W - L)) - 0.3 * W / NW),
    "orpo": (partial(o.orpo, beta=0.25), -W / NW - 0.25 * ls(odds)),
    "likelihood": (o.likelihood, -W / NW),
    "mixture": (
        partial(o.mixture, objectives={"a": partial(o.sigmoid, beta=0.5), "b": o.likelihood}, weights={"b": 0.2}),
        -ls(H) - 0.2 * W / NW,
    ),
}


def one_pair() -> PreferencePairs:
    told = [torch.tensor([value], dtype=torch.float64) for value in (W, L, NW, NL, M)]
    return PreferencePairs(*told, lambda: (torch.tensor([RW]).double(), torch.tensor([RL]).double()))


@pytest.mark.parametrize("name", BY_HAND)
def test_an_objective_is_its_paper_s_formula(name: str) -> None:
    objective, expected = BY_HAND[name]
    assert objective(one_pair()).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_kto_is_its_paper_s_formula() -> None:
    answers = RatedAnswers(torch.tensor([1.0, -2.0]), torch.tensor([True, False]), lambda: torch.tensor(0.4))
    expected = [1.5 * (1 - s(0.5 * (1 - 0.4))), 0.7 * (1 - s(0.5 * (0.4 + 2)))]
    assert kto(answers, beta=0.5, liked=1.5, disliked=0.7).tolist() == pytest.approx(expected)
    below = RatedAnswers(answers.log_ratio, answers.liked, lambda: torch.tensor(-3.0))
    assert kto(below, beta=0.5)[0].item() == pytest.approx(1 - s(0.5))
    assert apo_unpaired(answers, beta=0.5).tolist() == pytest.approx([1 - s(0.5), s(-1.0)])


def test_an_odds_ratio_near_certainty_loses_no_digits() -> None:
    sure = torch.tensor([-1e-6, -1e-4, -0.5, -3.0], dtype=torch.float64)
    assert o._log1mexp(sure).tolist() == pytest.approx([math.log(-math.expm1(x)) for x in sure.tolist()], rel=1e-9)
    gradient = torch.tensor([0.0, -1e-9, -40.0], requires_grad=True)
    o._log1mexp(gradient).sum().backward()
    assert gradient.grad is not None
    assert gradient.grad.isfinite().all()


def tiny_pairs(policy: float = 0.0, reference: float = 1.0) -> PreferencePairs:
    """The pairs that TRL saw, scored one sequence at a time."""

    def log_probs(shift: float) -> Tensor:
        made, found = network(shift), []
        for pair in PAIRS:
            for answer in (pair["chosen_ids"], pair["rejected_ids"]):
                ids = torch.tensor([pair["prompt_ids"] + answer])
                with torch.no_grad():
                    each = made(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])
                found.append(each[-len(answer) :].sum())
        return torch.stack(found).view(-1, 2)

    now, before = log_probs(policy), log_probs(reference)
    tokens = torch.tensor([[len(p["chosen_ids"]), len(p["rejected_ids"])] for p in PAIRS]).float()
    return PreferencePairs(*now.T, *tokens.T, torch.tensor(MARGINS), lambda: (before[:, 0], before[:, 1]))


OURS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": o.sigmoid, "hinge": o.hinge, "ipo": o.ipo, "exo_pair": o.exo, "nca_pair": o.nca, "robust": o.robust,
    "apo_zero": o.apo_zero, "apo_down": o.apo_down, "sigmoid_norm": partial(o.sigmoid, normalised=True),
}  # fmt: skip


@pytest.mark.parametrize("name", TRL["dpo"])
def test_an_objective_has_trl_s_value_of_the_same_pairs_and_weights(name: str) -> None:
    theirs = TRL["dpo"][name]
    ours = OURS[name](tiny_pairs(), beta=BETA, **theirs["settings"])
    assert ours.tolist() == pytest.approx(theirs["of_each"], rel=1e-5, abs=1e-5)
    assert ours.mean().item() == pytest.approx(theirs["mean"], rel=1e-5, abs=1e-5)


def test_objectives_without_a_reference_have_trl_s_values() -> None:
    pairs = tiny_pairs()
    simpo = o.simpo(pairs, beta=2.0, margin=0.7, label_smoothing=0.1)
    assert simpo.tolist() == pytest.approx(TRL["simpo"], rel=1e-5, abs=1e-5)
    cpo = o.cpo(pairs, beta=BETA, nll=0.0, label_smoothing=0.2)
    assert cpo.tolist() == pytest.approx(TRL["cpo_without_nll"], rel=1e-5, abs=1e-5)
    orpo = o.orpo(pairs, beta=BETA, nll=0.0)
    assert orpo.tolist() == pytest.approx(TRL["orpo_without_nll"], rel=1e-5, abs=1e-5)


def test_a_mixture_has_trl_s_value() -> None:
    terms = {"sigmoid": partial(o.sigmoid, beta=BETA), "apo": partial(o.apo_zero, beta=BETA)}
    ours = o.mixture(tiny_pairs(), objectives=terms, weights={"sigmoid": 0.7, "apo": 1.3})
    assert ours.mean().item() == pytest.approx(TRL["mixture"], rel=1e-5, abs=1e-5)


def test_only_objectives_with_log_ratios_use_the_reference() -> None:
    without = {"simpo", "cpo", "orpo", "likelihood"}
    assert {name for name, (objective, _) in BY_HAND.items() if not uses_reference(objective)} == without


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (kto, "not an objective for pairs"),
        (lambda pairs: pairs.chosen.sum(), "two finite losses, one for each of two pairs"),
        (lambda pairs: pairs.margin.log(), "two finite losses, one for each of two pairs"),
        (lambda pairs: pairs.chosen.detach(), "losses with a gradient"),
        (partial(o.mixture), "The mixture has no objectives"),
        (partial(o.exo, label_smoothing=0.0), "smoothed labels"),
    ],
)
def test_what_is_no_objective_for_pairs_is_refused(objective: Any, said: str) -> None:
    with pytest.raises((RecipeError, PluginError), match=said):
        uses_reference(objective)

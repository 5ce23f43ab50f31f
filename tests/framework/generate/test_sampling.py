"""Tokens are drawn with the chances that the settings say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from luthier.contracts.sampling import Sampling
from luthier.errors import RecipeError

LOGITS = torch.tensor([2.0, -1.0, 1.0, 0.5, 1.5, -3.0])
DRAWS = 4000


def shares(settings: Sampling) -> torch.Tensor:
    """How often each token was drawn."""
    uniforms = np.random.default_rng(0).random(DRAWS)
    drawn = settings.choose(LOGITS.expand(DRAWS, -1), uniforms)
    return torch.bincount(drawn, minlength=len(LOGITS)) / DRAWS


def test_temperature_zero_takes_the_likeliest() -> None:
    assert shares(Sampling(temperature=0.0))[0] == 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_tokens_come_as_often_as_their_probability_says(temperature: float) -> None:
    expected = (LOGITS / temperature).softmax(-1)
    torch.testing.assert_close(shares(Sampling(temperature=temperature)), expected, atol=0.025, rtol=0)


def test_top_k_keeps_the_likeliest_in_their_proportion() -> None:
    expected = torch.where(LOGITS >= 1.5, LOGITS, -torch.inf).softmax(-1)
    torch.testing.assert_close(shares(Sampling(temperature=1.0, top_k=2)), expected, atol=0.025, rtol=0)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    chances = LOGITS.softmax(-1)  # 0.44, 0.27 and 0.16 for the three likeliest
    kept = torch.where(LOGITS >= 1.0, chances, 0.0)
    found = shares(Sampling(temperature=1.0, top_p=0.75))
    torch.testing.assert_close(found, kept / kept.sum(), atol=0.025, rtol=0)
    assert shares(Sampling(temperature=1.0, top_p=0.01))[0] == 1


def test_top_p_works_within_top_k() -> None:
    found = shares(Sampling(temperature=1.0, top_k=3, top_p=0.7))  # of 0.51, 0.31 and 0.19, two reach 0.7
    torch.testing.assert_close(found[[0, 4]], torch.tensor([0.6225, 0.3775]), atol=0.025, rtol=0)
    assert found[[0, 4]].sum() == 1


@pytest.mark.parametrize("uniforms", [0.0, 1.0 - 2**-53])
@pytest.mark.parametrize("settings", [Sampling(temperature=1.0), Sampling(temperature=1.0, top_k=3, top_p=0.9)])
def test_the_ends_of_luck_draw_tokens_that_may_be_drawn(uniforms: float, settings: Sampling) -> None:
    logits = torch.tensor([[-torch.inf, 1.0, 0.0, -torch.inf]])
    assert settings.choose(logits, np.array([uniforms])).item() in {1, 2}


def test_luck_depends_on_the_seed_and_the_places_alone() -> None:
    settings = Sampling(seed=1, max_new_tokens=4)
    assert (settings.uniforms(0, 1) == Sampling(seed=1, max_new_tokens=4).uniforms(0, 1)).all()
    streams = [
        settings.uniforms(0, 1),
        settings.uniforms(1, 0),
        settings.uniforms(0, 0),
        Sampling(seed=2, max_new_tokens=4).uniforms(0, 1),
    ]
    assert len({tuple(stream) for stream in streams}) == 4


@pytest.mark.parametrize(
    "setting",
    [{"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}, {"num_samples": 0},
     {"stop": ("",)}],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused_by_name(setting: dict) -> None:
    (name,) = setting
    with pytest.raises(RecipeError, match=name):
        Sampling(**setting)

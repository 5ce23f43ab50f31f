"""The infinite schedule, computed by hand, and the rate that is suggested."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from luthier.errors import RecipeError
from luthier_cpt.learning_rate_prior import learning_rate_note, usual_peak
from luthier_cpt.schedules import Infinite


def test_it_warms_up_cools_down_stays_and_anneals():
    rate = Infinite(warmup=0.1, cooldown=0.5, constant=0.4, anneal=0.2, final=0.1)
    # of 1,000 steps: 100 to warm up, then 900, of which 450 cool down, 270 stay, 180 anneal
    assert rate(0, 1000) == pytest.approx(1 / 101)
    assert rate(100, 1000) == pytest.approx(1.0)
    assert rate(325, 1000) == pytest.approx(0.7)  # half of the way down: (1 + 0.4) / 2
    assert rate(550, 1000) == pytest.approx(0.4)
    assert rate(700, 1000) == pytest.approx(0.4)
    assert rate(910, 1000) == pytest.approx(0.2)  # half of the anneal: √(0.4 · 0.1)
    assert rate(1000, 1000) == pytest.approx(0.1)


def test_until_the_anneal_it_does_not_matter_how_long_it_shall_last():
    rate = Infinite(warmup=0.0, cooldown=0.0, constant=0.4, anneal=0.1, final=0.1)
    assert [rate(step, 1000) for step in range(1, 800)] == [rate(step, 5000) for step in range(1, 800)]


@pytest.mark.parametrize("wrong", [{"final": 0.0}, {"final": 0.9}, {"constant": 1.5}, {"cooldown": 0.9, "anneal": 0.2}])
def test_what_cannot_be_a_schedule_is_refused(wrong):
    with pytest.raises(RecipeError):
        Infinite(**wrong)


def test_the_usual_peak_is_the_published_one_and_interpolated_between():
    assert usual_peak(125e6) == pytest.approx(6e-4)
    assert usual_peak(1.3e9) == pytest.approx(2e-4)
    assert usual_peak((125e6 * 350e6) ** 0.5) == pytest.approx((6e-4 * 3e-4) ** 0.5)
    assert usual_peak(175e9) == pytest.approx(6e-5)
    assert usual_peak(1e6) is usual_peak(1e13) is None  # outside the published sizes


def recipe(**model):
    parts = {"model": {"_target_": "luthier.models.random.Random", **model}, "optimizer": {"lr": 1e-4}}
    return OmegaConf.create({**parts, "adaptation": {"_target_": "luthier.models.adaptation.FullFineTuning"}})


def test_the_head_of_the_log_names_the_usual_peak_where_it_is_known():
    (line,) = learning_rate_note(recipe(vocabulary=400, config={"hidden_size": 1024, "num_hidden_layers": 12}))
    assert "lr=0.0001" in line
    assert "a peak of about 0.0003 (Brown et al., 2020)" in line
    assert list(learning_rate_note(recipe(vocabulary=400, config={"hidden_size": 64, "num_hidden_layers": 2}))) == []


def test_of_an_earlier_run_its_own_peak_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "resolved.yaml").write_text("optimizer: {lr: 0.003}")
    asked = recipe()
    asked.model = {"_target_": "luthier.workflows.earlier_run.EarlierRun", "path": str(tmp_path)}
    assert list(learning_rate_note(asked)) == [
        "optimizer.lr=0.0001; the run that this one starts from had a peak of 0.003."
    ]

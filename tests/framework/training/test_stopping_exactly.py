"""What held-out data decides (when a training stops, which checkpoint is kept) is decided the same after a kill."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest

from luthier.training import checkpoint_files
from tests.framework.training.test_exact_resume import events, lines

STOPS = {"epochs": 9, "every_steps": 2, "patience": 2, "keep_best": True, "lr": 0.03, "every": 5, "keep": 1}
"""A learning rate at which held-out loss soon rises; checkpoints that rarely fall together with validations."""


def validations(folder):
    return [json.loads(line) for line in (folder / "validations.jsonl").read_text().splitlines()]


def left(folder):
    """All that must be equal, however often the training was cut."""
    what = {name: (folder / name).read_text() for name in ("weights", "optimizer", "stopped", "validations.jsonl")}
    steps = sorted(checkpoint_files.step_of(path) for path in checkpoint_files.checkpoints(folder / "checkpoints"))
    return what | {"checkpoints": steps, "losses": [line["loss"] for line in lines(folder)]}


@pytest.fixture(scope="module")
def stopped(tiny, tmp_path_factory):
    """A training that held-out data ended before its last step, and whose best step is another than the last."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    assert tiny.finish(tiny.Order(folder, **STOPS)) == 0
    return folder


def test_the_training_ends_after_the_validations_that_its_patience_allows(stopped):
    values = [one["value"] for one in validations(stopped)]
    best = values.index(min(values))
    assert len(values) == best + 3, values
    assert lines(stopped)[-1]["step"] == validations(stopped)[-1]["step"] < 54
    said = (stopped / "stopped").read_text()
    assert f"has not got better than the {min(values):.4g} of step {2 * (best + 1)}" in said


def test_the_best_checkpoint_stays_beside_the_newest(stopped):
    best = min(validations(stopped), key=lambda one: one["value"])["step"]
    assert left(stopped)["checkpoints"] == [best, lines(stopped)[-1]["step"]]


def test_the_weights_are_those_of_the_best_step(tiny, stopped, tmp_path):
    best = min(validations(stopped), key=lambda one: one["value"])["step"]
    cut = tiny.Order(tmp_path / "run", **STOPS, trainer={"max_steps": best})
    assert tiny.finish(cut) == 0
    assert (tmp_path / "run" / "weights").read_text() == (stopped / "weights").read_text()


CUTS = [
    pytest.param([("batch_end", 3, "SIGKILL")], id="in the step that validates first"),
    pytest.param([("batch_start", 4, "SIGKILL")], id="between a best checkpoint and the next step"),
    pytest.param([("validation", 7, "SIGKILL")], id="in a validation"),
    pytest.param([("validation", 7, "SIGTERM")], id="in a validation, with time to save"),
    pytest.param([("validation", 3, "SIGTERM"), ("validation", 3, "SIGTERM")], id="twice in the same validation"),
    pytest.param([("batch_end", 7, "SIGTERM")], id="at a step that validates, with time to save"),
    pytest.param([("before_step", 9, "SIGTERM"), ("batch_start", 1, "SIGKILL")], id="twice"),
    pytest.param([("batch_start", 5, "SIGKILL")] * 3, id="three times"),
]


@pytest.mark.parametrize("faults", CUTS)
def test_a_training_that_was_cut_stops_at_the_same_step_and_keeps_the_same_best(tiny, stopped, tmp_path, faults):
    for number, fault in enumerate(faults):
        order = tiny.Order(tmp_path / "run", fault=fault, resume="auto" if number else None, **STOPS)
        assert tiny.finish(order) == {"SIGKILL": -9, "SIGTERM": 143}[fault[2]]
    assert tiny.finish(tiny.Order(tmp_path / "run", resume="auto", **STOPS)) == 0
    assert left(tmp_path / "run") == left(stopped)


def test_a_training_that_has_stopped_does_not_go_on_and_has_the_same_weights(tiny, stopped):
    before = left(stopped)
    assert tiny.finish(tiny.Order(stopped, resume="auto", **STOPS)) == 0
    assert left(stopped) == before


def test_with_more_patience_it_goes_on_from_where_it_stopped(tiny, stopped, tmp_path):
    start = sorted(checkpoint_files.checkpoints(stopped / "checkpoints"))[-1]
    patient = STOPS | {"patience": 4}
    whole, resumed = tiny.Order(tmp_path / "whole", **patient), tiny.Order(tmp_path / "run", str(start), **patient)
    assert tiny.finish(whole) == 0
    assert tiny.finish(resumed) == 0
    assert lines(resumed.folder)[0]["step"] == validations(stopped)[-1]["step"] + 1
    assert left(resumed.folder)["validations.jsonl"] == left(whole.folder)["validations.jsonl"]
    assert left(resumed.folder)["weights"] == left(whole.folder)["weights"], "the best came from the other folder"


def test_a_best_checkpoint_that_is_damaged_is_not_passed_over(tiny, stopped, tmp_path):
    order = tiny.Order(tmp_path / "run", **STOPS)
    assert tiny.finish(order) == 0
    best, _ = sorted(checkpoint_files.checkpoints(order.folder / "checkpoints"))
    with (best / "state.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"!")
    assert tiny.finish(tiny.Order(order.folder, resume="auto", **STOPS)) == 5
    error = json.loads((order.folder / "error.json").read_text())
    assert f"{best.name} is the best checkpoint so far" in error["message"]
    assert "trainer.keep_best=false" in error["hint"]


def test_the_last_step_is_validated_whatever_the_interval(tiny, tmp_path):
    order = tiny.Order(tmp_path / "run", every_steps=5, epochs=2)
    assert tiny.finish(order) == 0
    assert [one["step"] for one in validations(order.folder)] == [5, 10, 12]


def test_a_cut_in_the_validation_of_the_last_step_is_made_up_for(tiny, tmp_path):
    settings = {"every_steps": 5, "epochs": 2, "keep_best": True}
    whole, cut = tiny.Order(tmp_path / "whole", **settings), tiny.Order(tmp_path / "run", **settings)
    cut.fault = ("validation", 21, "SIGTERM")
    assert tiny.finish(whole) == 0
    assert tiny.finish(cut) == 143
    assert [one["step"] for one in validations(cut.folder)] == [5, 10]
    assert tiny.finish(tiny.Order(cut.folder, resume="auto", **settings)) == 0
    assert left(cut.folder) == left(whole.folder)


def test_a_loss_that_runs_away_ends_the_training(tiny, tmp_path):
    order = tiny.Order(tmp_path / "run", epochs=40, lr=3.0, divergence=0.5, every_steps=1000)
    assert tiny.finish(order) == 0
    losses = [line["loss"] for line in lines(order.folder)]
    means = [sum(losses[end - 10 : end]) / 10 for end in range(10, len(losses) + 1)]
    assert means[-1] > min(means) + 0.5 >= max(means[:-1])
    assert "the mean training loss of 10 steps" in (order.folder / "stopped").read_text()
    assert [one["step"] for one in validations(order.folder)] == [len(losses)], "the last step is validated"


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_ends_a_training_that_stops_where_it_diverges(tiny, tmp_path, what):
    settings = {"epochs": 2, "every": 1, "keep": 0, "every_steps": 100}
    order = tiny.Order(tmp_path / "run", **settings, divergence=5.0, fault=("batch_start", 8, what))
    assert tiny.finish(order) == 0
    assert "not finite" in (order.folder / "stopped").read_text()
    assert [line["step"] for line in lines(order.folder)] == [1, 2, 3, 4, 5]
    assert events(order.folder, "not_finite")[0]["step"] == 5
    assert [one["step"] for one in validations(order.folder)] == [5]
    four = tiny.Order(tmp_path / "four", **settings, trainer={"max_steps": 4})
    assert tiny.finish(four) == 0
    assert left(order.folder)["weights"] == left(four.folder)["weights"], "the step changed nothing"
    assert tiny.finish(tiny.Order(order.folder, **settings, divergence=5.0, resume="auto")) == 0
    assert len(lines(order.folder)) == 5, "it does not go on by itself"


def waits(folder):
    """The seconds of training from each validation to the next, and the same without the last step of them."""
    seconds = {line["step"]: line["seconds"] for line in lines(folder)}
    steps = [0, *(one["step"] for one in validations(folder))]
    spans = [[seconds[step] for step in range(before + 1, after + 1)] for before, after in pairwise(steps)]
    return [(sum(span), sum(span[:-1])) for span in spans]


def test_seconds_are_those_of_the_optimizer_steps_also_over_a_kill(tiny, tmp_path):
    settings = {"every_seconds": 0.02, "epochs": 6, "every": 1}
    order = tiny.Order(tmp_path / "run", **settings, fault=("batch_start", 33, "SIGKILL"))
    assert tiny.finish(order) == -9
    time.sleep(1)
    assert tiny.finish(tiny.Order(order.folder, **settings, resume="auto")) == 0
    assert len(lines(order.folder)) == 36
    assert len(waits(order.folder)) > 2
    for with_last, without in waits(order.folder)[:-1]:  # the last is that of the last step
        assert with_last > 0.02 - 1e-4, "the figures are rounded to microseconds"
        assert without < 0.02 + 1e-4


def test_what_a_clock_has_decided_is_not_decided_anew(tiny, tmp_path):
    order = tiny.Order(tmp_path / "run", every_seconds=0.0001, epochs=1, every=100, fault=("batch_start", 8, "SIGKILL"))
    assert tiny.finish(order) == -9
    before = validations(order.folder)
    assert [one["step"] for one in before] == [1, 2, 3, 4], "each step lasts longer"
    patient = tiny.Order(order.folder, every_seconds=1000, epochs=1, every=100, resume="auto")
    assert tiny.finish(patient) == 0
    assert validations(order.folder)[:4] == before
    assert [one["step"] for one in validations(order.folder)] == [1, 2, 3, 4, 6]
    assert events(order.folder, "training")[-1]["step"] == 4

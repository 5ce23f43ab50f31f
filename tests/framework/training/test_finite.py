"""A loss or gradient that is not finite never reaches the weights."""

from __future__ import annotations

import json

import pytest

from tests.framework.training.test_exact_resume import events, lines


def poisoned(tiny, folder, what, every=3):
    """Micro-batch 9 (the second of step 5) goes wrong; the weights after the run that failed, and its error."""
    order = tiny.Order(folder, every=every, validate=False, fault=("batch_start", 9, what))
    code = tiny.finish(order)
    return code, json.loads((folder / "error.json").read_text())


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_the_run_ends_with_4_in_the_same_step_and_names_the_examples(tiny, tmp_path, what):
    code, error = poisoned(tiny, tmp_path / "run", what)
    assert code == error["code"] == 4
    assert error["where"] == "step 5"
    assert error["resumable"]
    (dump,) = events(tmp_path / "run", "not_finite")
    assert dump["step"] == 5
    suspects = dump["examples"][1] if what == "loss" else [number for part in dump["examples"] for number in part]
    assert f"with examples {', '.join(map(str, suspects))}" in error["message"]
    assert [line["step"] for line in lines(tmp_path / "run")] == [1, 2, 3, 4]
    if what == "loss":
        assert dump["losses"][1] == "nan", "never 0.0"
    else:
        assert dump["parameters"]["head.weight"] in ("inf", "nan")


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_the_weights_stay_those_of_the_last_good_step(tiny, tmp_path, what):
    order = tiny.Order(tmp_path / "run", every=0, validate=False, fault=("batch_start", 9, what))
    nets = []

    class Kept(tiny.Net):
        def __init__(self, order):
            super().__init__(order)
            nets.append(self)

    original, tiny.Net = tiny.Net, Kept
    from luthier.errors import NumericsError

    try:
        with pytest.raises(NumericsError):
            tiny.train(order)
    finally:
        tiny.Net = original
    good = tiny.Order(tmp_path / "good", every=0, validate=False, epochs=-1, trainer={"max_steps": 4})
    assert tiny.weights(nets[0]) == tiny.weights(tiny.train(good))


def test_a_run_that_ended_so_resumes_from_its_last_checkpoint(tiny, tmp_path):
    poisoned(tiny, tmp_path / "run", "loss")
    whole = tiny.Order(tmp_path / "whole", every=3, validate=False)
    assert tiny.finish(whole) == 0
    assert tiny.finish(tiny.Order(tmp_path / "run", every=3, validate=False, resume="auto")) == 0
    assert (tmp_path / "run" / "weights").read_text() == (whole.folder / "weights").read_text()


def test_going_on_from_the_weights_that_led_there_is_not_advised(tiny, tmp_path):
    _, error = poisoned(tiny, tmp_path / "run", "loss", every=4)
    assert "resume=never" in error["hint"]
    assert "resume=auto" not in error["hint"]
    assert not error["resumable"], "step 5 would compute the same from the checkpoint of step 4"


def test_the_checkpoint_before_them_is_advised_where_there_is_one(tiny, tmp_path):
    _, error = poisoned(tiny, tmp_path / "run", "loss", every=2)
    assert f"resume={tmp_path}/run/checkpoints/step-00000002" in error["hint"]
    assert not error["resumable"]


def test_running_out_of_memory_ends_with_5_and_ranked_advice(tiny, tmp_path):
    code, error = poisoned(tiny, tmp_path / "run", "memory")
    assert code == error["code"] == 5
    assert error["where"] == "step 5"
    assert "1. " in error["hint"]

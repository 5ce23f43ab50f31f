"""A killed training that goes on ends with the very weights of one that was never killed."""

from __future__ import annotations

import json

import pytest

CUTS = [
    pytest.param("batch_end", 7, id="at an optimizer step"),
    pytest.param("batch_start", 8, id="in the middle of an accumulation"),
    pytest.param("before_step", 5, id="before the first checkpoint"),
    pytest.param("batch_end", 10, id="at the end of an epoch"),
    pytest.param("validation", 10, id="in a validation"),
    pytest.param("before_step", 21, id="before the last update"),
]


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def events(folder, name):
    found = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [event for event in found if event["event"] == name]


@pytest.mark.parametrize(("hook", "batch"), CUTS)
def test_a_run_killed_by_sigkill_resumes_bit_equal(tiny, uninterrupted, tmp_path, hook, batch):
    order = tiny.Order(tmp_path / "run", fault=(hook, batch, "SIGKILL"))
    assert tiny.finish(order) == -9
    assert not (order.folder / "weights").exists()
    assert tiny.finish(tiny.Order(order.folder, resume="auto")) == 0
    for name in ("weights", "optimizer"):
        assert (order.folder / name).read_text() == (uninterrupted / name).read_text()
    assert [line["step"] for line in lines(order.folder)] == list(range(1, 13))
    assert [line["loss"] for line in lines(order.folder)] == [line["loss"] for line in lines(uninterrupted)]


def test_without_the_random_state_the_weights_would_differ(tiny, uninterrupted, tmp_path):
    order = tiny.Order(tmp_path / "run", fault=("batch_end", 7, "SIGKILL"))
    tiny.finish(order)
    checkpoint = order.folder / "checkpoints" / "step-00000003"
    state = json.loads((checkpoint / "state.json").read_text())
    state["callbacks"] = {}
    (checkpoint / "state.json").write_text(json.dumps(state))
    reseal(checkpoint)
    assert tiny.finish(tiny.Order(order.folder, resume="auto")) == 0
    assert (order.folder / "weights").read_text() != (uninterrupted / "weights").read_text()


def reseal(checkpoint):
    from luthier.fetch.digests import sha256_of_file
    from luthier.training import checkpoint_files as files

    (checkpoint / files.MANIFEST).unlink()
    named = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)} for path in checkpoint.iterdir()}
    (checkpoint / files.MANIFEST).write_text(files._manifest_text(files.step_of(checkpoint), named))


def test_a_damaged_newest_checkpoint_costs_steps_but_not_the_result(tiny, uninterrupted, tmp_path):
    order = tiny.Order(tmp_path / "run", fault=("batch_start", 17, "SIGKILL"))
    assert tiny.finish(order) == -9
    with (order.folder / "checkpoints" / "step-00000009" / "state.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"!")
    assert tiny.finish(tiny.Order(order.folder, resume="auto")) == 0
    assert (order.folder / "weights").read_text() == (uninterrupted / "weights").read_text()
    assert events(order.folder, "cut")[0]["removed"] == ["step-00000009"]
    assert [line["step"] for line in lines(order.folder)] == list(range(1, 13))


def test_a_finished_run_resumes_to_nothing_left_to_do(tiny, uninterrupted):
    before = (uninterrupted / "metrics.jsonl").read_text()
    assert tiny.finish(tiny.Order(uninterrupted, resume="auto")) == 0
    assert (uninterrupted / "metrics.jsonl").read_text() == before


def test_a_folder_with_checkpoints_is_not_started_anew_by_accident(tiny, uninterrupted):
    assert tiny.finish(tiny.Order(uninterrupted)) == 2
    assert "resume=auto" in json.loads((uninterrupted / "error.json").read_text())["hint"]


def test_starting_anew_on_purpose_gives_the_same_run(tiny, uninterrupted, tmp_path):
    order = tiny.Order(tmp_path / "run", fault=("batch_end", 13, "SIGKILL"))
    tiny.finish(order)
    assert tiny.finish(tiny.Order(order.folder, resume="never")) == 0
    assert (order.folder / "weights").read_text() == (uninterrupted / "weights").read_text()
    assert [line["step"] for line in lines(order.folder)] == list(range(1, 13))


def test_looking_at_held_out_data_changes_nothing(tiny, uninterrupted, tmp_path):
    order = tiny.Order(tmp_path / "run", validate=False)
    assert tiny.finish(order) == 0
    assert (order.folder / "weights").read_text() == (uninterrupted / "weights").read_text()


def test_frozen_weights_stay_out_of_checkpoints_and_other_ones_are_refused(tiny, tmp_path):
    from safetensors.torch import load_file

    whole, cut = (
        tiny.Order(tmp_path / "whole", frozen=True),
        tiny.Order(tmp_path / "cut", frozen=True, fault=("batch_end", 7, "SIGKILL")),
    )
    assert tiny.finish(whole) == 0
    assert tiny.finish(cut) == -9
    held = load_file(cut.folder / "checkpoints" / "step-00000003" / "state.safetensors")
    assert "state_dict/head.weight" in held
    assert "state_dict/words.weight" not in held
    assert tiny.finish(tiny.Order(cut.folder, frozen=True, resume="auto")) == 0
    assert (cut.folder / "weights").read_text() == (whole.folder / "weights").read_text()
    assert tiny.finish(tiny.Order(cut.folder, frozen=False, resume="auto")) == 2
    assert "words.weight" in json.loads((cut.folder / "error.json").read_text())["message"]

"""`trainer=fsdp`: whole runs on two ranks are those of one process, and go on with other ranks and strategies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from luthier.errors import RecipeError
from luthier.testing.ranks import two_ranks
from luthier.testing.twin import twin
from luthier.training.checkpoint_io import load_model_state
from luthier.training.shardable import refuse_offload_without_accelerator, refuse_unshardable
from tests.command import luthier
from tests.held_out_rows import held_out

RECIPE = (
    "adaptation=full", "trainer.precision=fp32", "trainer.epochs=9", "trainer.max_steps=4", "trainer.validate_every=1",
    "trainer.checkpoint_every=1", "trainer.keep=0", "trainer.keep_best=true", "score=chrf", "optimizer.lr=0.05",
    "optimizer.eps=0.001", "evaluation/task=generation", "evaluation.task.max_new_tokens=10", "evaluation.samples=3",
    "evaluation.sample_tokens=8", "evaluation.general_examples=5", "evaluation.general_length=64",
)  # fmt: skip
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def lines(run: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


def artifact(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "artifact" / "model.safetensors")


def assert_close(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> None:
    assert some.keys() == others.keys()
    for name, tensor in some.items():
        torch.testing.assert_close(tensor, others[name], **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return (*held_out(tmp_path_factory.mktemp("rows")), *RECIPE)


@pytest.fixture(scope="module")
def alone(words, tmp_path_factory):
    """One process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    twin(folder, *words).carry_out()
    return folder


@pytest.fixture(scope="module")
def sharded(words, tmp_path_factory):
    """Two ranks, each with a share of every weight."""
    folder = tmp_path_factory.mktemp("sharded") / "run"
    two_ranks(folder, "trainer=fsdp", *words)
    return folder


@pytest.fixture(scope="module")
def replicated(words, tmp_path_factory):
    """Two ranks that each hold the whole network."""
    folder = tmp_path_factory.mktemp("replicated") / "run"
    two_ranks(folder, "trainer=ddp", *words)
    return folder


def test_each_step_is_that_of_one_process(alone, sharded):
    one, two = lines(alone, "metrics.jsonl"), lines(sharded, "metrics.jsonl")
    assert [step["step"] for step in two] == [1, 2, 3, 4]
    for mine, theirs in zip(one, two, strict=True):
        for name in ("loss", "gradient_norm", "learning_rate", "tokens"):
            assert theirs[name] == pytest.approx(mine[name], rel=1e-5), name


def test_checkpoints_are_whole_and_those_of_one_process(alone, sharded):
    for step in range(1, 5):
        name = f"checkpoints/step-{step:08d}/state.safetensors"
        mine, theirs = load_file(alone / name), load_file(sharded / name)
        of_rank = {key for key in theirs if "/ranks/1/" in key}
        assert theirs.keys() - mine.keys() == of_rank, "one tensor for each, tied ones once"
        learned = [key for key in mine if key.startswith(("state_dict", "optimizer_states"))]
        assert_close({key: mine[key] for key in learned}, {key: theirs[key] for key in learned})


@pytest.mark.parametrize("ranks", ["sharded", "replicated"])
def test_scores_answers_and_intervals_of_all_ranks_are_those_of_one_process(alone, ranks, request):
    run = request.getfixturevalue(ranks)
    for stage in ("before", "after"):
        folder = f"scores/{stage}"
        mine, theirs = (json.loads((one / folder / "scores.json").read_text()) for one in (alone, run))
        assert theirs["samples"] == mine["samples"], "greedy answers, exactly"
        assert theirs["counts"] == mine["counts"]
        assert theirs["examples"].keys() == mine["examples"].keys()
        assert_close(*(load_file(one / folder / "scores.safetensors") for one in (alone, run)))
        for name, score in mine["scores"].items():
            both = [
                {what: value for what, value in each.items() if what != "better"}
                for each in (score, theirs["scores"][name])
            ]
            assert both[1] == pytest.approx(both[0], rel=1e-5), name


@pytest.mark.parametrize("ranks", ["sharded", "replicated"])
def test_the_validation_score_chooses_the_same_step_on_any_number_of_ranks(alone, ranks, request):
    mine, theirs = (lines(one, "validations.jsonl") for one in (alone, request.getfixturevalue(ranks)))
    assert [(one["step"], one["monitor"]) for one in theirs] == [(step, "chrf") for step in range(1, 5)]
    for one, two in zip(mine, theirs, strict=True):
        assert two["value"] == pytest.approx(one["value"], abs=1e-9)
        assert two["validation_loss"] == pytest.approx(one["validation_loss"], rel=1e-5)


def test_the_artifact_is_the_best_step_of_the_shards_and_whole(alone, sharded):
    manifest = json.loads((sharded / "artifact" / "manifest.json").read_text())
    best = max(lines(alone, "validations.jsonl"), key=lambda one: (one["value"], -one["step"]))["step"]
    assert best < 4, "or keep_best has nothing to do here"
    state = load_model_state(sharded / f"checkpoints/step-{best:08d}")["state_dict"]
    saved = artifact(sharded)
    assert all(torch.equal(tensor, state[f"network.{name}"]) for name, tensor in saved.items())
    assert_close(saved, artifact(alone))
    assert manifest["proof"], "it was read back and compared, as that of one process"


def test_a_training_goes_on_with_other_ranks_and_with_none(words, alone, sharded, tmp_path):
    """2 → 2 bit for bit; 2 → 1 and 1 → 2 but for rounding."""
    last = "checkpoints/step-00000004/state.safetensors"
    stages = "stages=[fit]"
    two_ranks(
        tmp_path / "same", "trainer=fsdp", *words, stages, f"resume={sharded}/checkpoints/step-00000002"
    )  # fmt: skip
    again, before = load_file(tmp_path / "same" / last), load_file(sharded / last)
    learned = [key for key in before if key.startswith(("state_dict", "optimizer_states"))]
    assert all(torch.equal(again[key], before[key]) for key in learned)
    twin(tmp_path / "fewer", *words, stages, f"resume={sharded}/checkpoints/step-00000002").carry_out()
    two_ranks(tmp_path / "more", "trainer=fsdp", *words, stages, f"resume={alone}/checkpoints/step-00000002")
    for name in ("fewer", "more"):
        found = load_file(tmp_path / name / last)
        assert_close({key: before[key] for key in learned}, {key: found[key] for key in learned})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("adaptation=lisa",), "Lisa acts on whole weights between the steps"),
        (("adaptation=adalora",), "acts on whole weights between the steps"),
        (("method=grpo", "batch.packing=false"), "all devices must call a network in shards equally often"),
        (("model=tiny", "method=kto"), "calls the network between the steps as often as its data asks for"),
    ],
)
def test_what_shards_would_break_is_refused_before_the_first_step(words, sentence, tmp_path):
    run = twin(tmp_path / "run", *words)
    run.method.configure_model()
    with pytest.raises(RecipeError, match=sentence):
        refuse_unshardable(run.method, run.method.network, packing=True)


def test_weights_are_not_offloaded_from_a_processor_to_itself():
    with pytest.raises(RecipeError, match="there is none"):
        refuse_offload_without_accelerator(torch.device("cpu"))


CUT = """
import os, signal
import luthier

@luthier.hookimpl
def luthier_callbacks(config):
    import pytorch_lightning as pl

    class Cut(pl.Callback):
        def on_train_batch_start(self, trainer, *_):
            if os.environ.get("CUT") == f"{trainer.global_rank} {trainer.global_step}":
                os.kill(os.getpid(), signal.SIGKILL)

    return [Cut()]
"""


@pytest.mark.exhaustive
def test_a_killed_rank_ends_the_command_which_goes_on_bit_for_bit(words, sharded, tmp_path):
    """The ranks are processes of the command, from the first measurement to the last."""
    (tmp_path / "cut.py").write_text(CUT)
    command = (
        "-p", "cut", "debug=tiny", "name=run", "trainer=fsdp", *words, "trainer.accelerator=cpu", "trainer.devices=2",
        "resume=auto",
    )  # fmt: skip
    environment = {"PYTHONPATH": str(tmp_path), "CUT": "1 2"}
    killed = luthier(*command, cwd=tmp_path, **environment)
    assert killed.returncode == 5, killed.stderr
    assert "Rank 1 was killed by SIGKILL" in killed.stderr
    run = next((tmp_path / "runs").iterdir())
    assert [one.name for one in sorted((run / "checkpoints").iterdir())] == ["step-00000001", "step-00000002"]
    resumed = luthier(*command, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert resumed.returncode == 0, resumed.stderr
    mine, theirs = artifact(run), artifact(sharded)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())

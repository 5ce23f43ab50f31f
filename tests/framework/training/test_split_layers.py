"""`trainer=tensor_parallel` and `trainer=fsdp_tp`: whole runs on several ranks are those of one process, however cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from luthier.errors import RecipeError
from luthier.testing.ranks import two_ranks
from luthier.testing.twin import twin
from luthier.training.checkpoint_io import SealedCheckpoints
from luthier.training.optimizer_state import NAMES
from luthier.training.tensor_parallel import refuse_uneven
from tests.command import luthier
from tests.framework.training.test_fsdp import CUT, RECIPE, artifact, assert_close, lines
from tests.held_out_rows import held_out

HEADS = "model.config.num_key_value_heads=4"
LORA = ("adaptation=lora", "adaptation.dropout=0.2", "batch.size=4")
CUTS = [("tensor_parallel", 2), ("tensor_parallel", 4), ("fsdp_tp", 4)]
exhaustive = pytest.mark.exhaustive
SOME = [CUTS[0], *(pytest.param(*cut, marks=exhaustive) for cut in CUTS[1:])]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return (*held_out(tmp_path_factory.mktemp("rows")), *RECIPE, HEADS)


@pytest.fixture(scope="module")
def alone(words, tmp_path_factory):
    """One process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    twin(folder, *words).carry_out()
    return folder


@pytest.fixture(scope="module")
def on_ranks(words, tmp_path_factory):
    """The run on so many ranks of a strategy, once for all tests."""
    known = {}

    def run(strategy: str, world: int):
        if (strategy, world) not in known:
            folder = tmp_path_factory.mktemp(strategy) / "run"
            two_ranks(folder, f"trainer={strategy}", *words, world=world)
            known[strategy, world] = folder
        return known[strategy, world]

    return run


def learned(run: Path, step: int = 4) -> dict[str, torch.Tensor]:
    """The weights and the running means of a checkpoint, by the names of weights."""
    saved = SealedCheckpoints().load_checkpoint(run / f"checkpoints/step-{step:08d}")
    found = dict(saved["state_dict"])
    for names, optimizer in zip(saved[NAMES], saved["optimizer_states"], strict=True):
        for number, state in optimizer["state"].items():
            found |= {f"{names[number]} {what}": value for what, value in state.items()}
    return found


@pytest.mark.parametrize(("strategy", "world"), SOME)
def test_losses_updates_scores_and_artifact_are_those_of_one_process(strategy, world, alone, on_ranks):
    split = on_ranks(strategy, world)
    one, two = lines(alone, "metrics.jsonl"), lines(split, "metrics.jsonl")
    assert [step["step"] for step in two] == [1, 2, 3, 4]
    for mine, theirs in zip(one, two, strict=True):
        for name in ("loss", "gradient_norm", "learning_rate", "tokens"):
            assert theirs[name] == pytest.approx(mine[name], rel=1e-5), name
    assert_close(learned(alone), learned(split))
    assert_close(artifact(alone), artifact(split))
    for stage in ("before", "after"):
        mine, theirs = (json.loads((run / f"scores/{stage}/scores.json").read_text()) for run in (alone, split))
        assert theirs["samples"] == mine["samples"], "greedy answers, exactly"
        assert_close(*(load_file(run / f"scores/{stage}/scores.safetensors") for run in (alone, split)))
    assert [round(one["value"], 9) for one in lines(split, "validations.jsonl")] == [
        round(one["value"], 9) for one in lines(alone, "validations.jsonl")
    ]


def test_lora_with_dropout_and_micro_batches_is_that_of_one_process(words, tmp_path):
    """Ranks that split a layer drop the same inputs: half of an update is whole on each of them."""
    fit = (*words, *LORA, "adaptation.dropout=0", "stages=[fit]")
    twin(tmp_path / "one", *fit).carry_out()
    two_ranks(tmp_path / "two", "trainer=tensor_parallel", *fit)
    assert_close(learned(tmp_path / "one"), learned(tmp_path / "two"))

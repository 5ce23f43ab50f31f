"""`trainer=tensor_parallel` and `trainer=fsdp_tp`: whole runs on several ranks are those of one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from luthier.errors import RecipeError
from luthier.models.meta_networks import meta_network
from luthier.testing.ranks import two_ranks
from luthier.testing.twin import twin
from luthier.training.checkpoint_io import SealedCheckpoints
from luthier.training.cluster import devices_used
from luthier.training.optimizer_state import NAMES
from luthier.training.tensor_parallel import refuse_uneven
from tests.command import luthier
from tests.framework.training.test_fsdp import CUT, RECIPE, artifact, assert_close, lines
from tests.held_out_rows import held_out

HEADS = "model.config.num_key_value_heads=4"
LORA = ("adaptation=lora", "batch.size=4", "trainer.keep_best=false")
ARTIFACT = "artifact/model.safetensors"
CUTS = [("tensor_parallel", 2), ("tensor_parallel", 4), ("fsdp_tp", 4)]
PLUGINS = ("tests.framework.training.each_rank",)
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
            two_ranks(folder, f"trainer={strategy}", *words, world=world, plugins=PLUGINS)
            known[strategy, world] = folder
        return known[strategy, world]

    return run


def each_rank(run: Path, world: int) -> list[dict]:
    return [json.loads((run / f"parts-{rank}.json").read_text()) for rank in range(world)]


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


@pytest.mark.parametrize(("strategy", "world"), SOME)
def test_memory_of_a_rank_falls_as_computed(strategy, world, on_ranks):
    """Norms are whole in a group of ranks that split layers; all else is shared by all ranks."""
    sizes = {name: value.numel() for name, value in load_file(on_ranks(strategy, world) / ARTIFACT).items()}
    norms = sum(size for name, size in sizes.items() if "norm" in name)
    groups = 2 if strategy == "fsdp_tp" else 1
    numbers = (sum(sizes.values()) - norms) / world + norms / groups
    for part in each_rank(on_ranks(strategy, world), world):
        assert part["memory"] == pytest.approx(
            {"weights": 4 * numbers, "gradients": 4 * numbers, "optimizer": 8 * numbers}, rel=0.01
        )


def test_lora_is_that_of_one_process(words, tmp_path):
    fit = (*words, *LORA, "stages=[fit]")
    twin(tmp_path / "one", *fit).carry_out()
    two_ranks(tmp_path / "two", "trainer=tensor_parallel", *fit)
    assert_close(learned(tmp_path / "one"), learned(tmp_path / "two"))


@exhaustive
def test_ranks_of_one_layer_drop_the_same_also_after_a_resume_with_more_of_them(words, tmp_path):
    """Half of an update of LoRA is whole on each rank: other dropout would move it apart."""
    fit = (*words, *LORA, "adaptation.dropout=0.5", "stages=[fit]")
    two_ranks(tmp_path / "two", "trainer=tensor_parallel", *fit, plugins=PLUGINS)
    start = f"resume={tmp_path}/two/checkpoints/step-00000002"
    two_ranks(tmp_path / "four", "trainer=tensor_parallel", *fit, start, world=4, plugins=PLUGINS)
    for run, world in (("two", 2), ("four", 4)):
        found = each_rank(tmp_path / run, world)
        assert all(part["split"] for part in found)
        assert len({part["whole"] for part in found}) == 1


@exhaustive
@pytest.mark.parametrize(
    ("strategy", "world"), [("tensor_parallel", 2), ("tensor_parallel", 4), ("fsdp_tp", 4), ("fsdp", 2), ("ddp", 1)]
)
def test_what_two_ranks_have_saved_goes_on_elsewhere(strategy, world, words, on_ranks, tmp_path):
    """On two ranks bit for bit; else but for rounding."""
    before = on_ranks("tensor_parallel", 2)
    start = (*words, "stages=[fit]", f"resume={before}/checkpoints/step-00000002")
    two_ranks(tmp_path / "run", f"trainer={strategy}", *start, world=world)
    mine, theirs = learned(tmp_path / "run"), learned(before)
    assert_close(mine, theirs)
    if (strategy, world) == ("tensor_parallel", 2):
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@exhaustive
def test_a_killed_rank_ends_the_command_which_goes_on_bit_for_bit(words, on_ranks, tmp_path):
    (tmp_path / "cut.py").write_text(CUT)
    command = (
        "-p", "cut", "debug=tiny", "name=run", "trainer=tensor_parallel", *words, "trainer.accelerator=cpu",
        "trainer.devices=2", "resume=auto",
    )  # fmt: skip
    killed = luthier(*command, cwd=tmp_path, PYTHONPATH=str(tmp_path), CUT="1 2")
    assert killed.returncode == 5, killed.stderr
    assert "Rank 1 was killed by SIGKILL" in killed.stderr
    resumed = luthier(*command, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert resumed.returncode == 0, resumed.stderr
    mine, theirs = artifact(tmp_path / "runs" / "run"), artifact(on_ranks("tensor_parallel", 2))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


@pytest.mark.parametrize(
    ("words", "ranks", "sentence"),
    [
        (("model.config.num_key_value_heads=2",), 4, "4 ranks split layers, and num_key_value_heads=2 is no multiple"),
        (("model=random", "model.architecture=gpt2"), 2, "no tensor-parallel plan for GPT2LMHeadModel"),
        (("adaptation=dora",), 2, "of adapters only LoRA is split with it"),
        (("adaptation=bottleneck",), 2, "of adapters only LoRA is split with it"),
        (("adaptation=prefix",), 2, "of adapters only LoRA is split with it"),
        (("adaptation=ia3",), 2, "of adapters only LoRA is split with it"),
        (("adaptation=lisa",), 2, "Lisa acts on whole weights between the steps"),
        (("method=grpo", "batch.packing=false"), 2, "all devices must call a network in shards equally often"),
    ],
)
def test_what_cannot_be_split_is_refused_before_anything_is_loaded(words, ranks, sentence, tmp_path):
    parts = twin(tmp_path / "run", "trainer=tensor_parallel", *words).parts
    adapted = parts.adaptation(meta_network(parts.method.model))
    with pytest.raises(RecipeError, match=sentence):
        parts.trainer.strategy.refuse(parts.method, adapted, packing=False, ranks=ranks, device=torch.device("cpu"))


@pytest.mark.parametrize(
    "words", [(), ("adaptation=lora",), ("adaptation=rslora",), ("adaptation=bitfit", "adaptation.norms=true")]
)
def test_whole_weights_and_lora_are_split(words, tmp_path):
    parts = twin(tmp_path / "run", "trainer=tensor_parallel", *words).parts
    adapted = parts.adaptation(meta_network(parts.method.model))
    parts.trainer.strategy.refuse(parts.method, adapted, packing=True, ranks=2, device=torch.device("cpu"))


def test_ranks_that_make_no_whole_groups_are_refused():
    with pytest.raises(RecipeError, match="groups ranks, and there are 3"):
        refuse_uneven(3, 2)


def test_one_device_has_no_strategy_for_several(tmp_path):
    """Nothing would watch the processes of the others."""
    with pytest.raises(RecipeError, match=r"for one device, and trainer\.devices and trainer\.num_nodes make 2") as end:
        twin(tmp_path / "run", "trainer=cpu", "trainer.devices=2")
    assert "trainer=ddp" in end.value.hint


@pytest.mark.parametrize(("devices", "count"), [(3, 3), ("3", 3), ("3,", 1), ("0,2", 2), ("auto", 1)])
def test_devices_are_counted_as_lightning_counts_them(devices, count):
    assert devices_used(devices, on_gpu=False) == count

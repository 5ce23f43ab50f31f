"""Whole trainings on rewards, in this process: they learn, resume bit-equal, and report faults."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.errors import PluginError
from luthier.testing.twin import twin
from tests.command import luthier
from tests.plugins.grpo.faulty_rewards import always_fails, length_or_fault

TINY = (
    "method=grpo", "method/reward=length", "method.reward.most=3", "method.reward.slack=9", "stages=[fit]",
    "batch.packing=false", "batch.size=2", "method.group=3", "method.rollout.max_new_tokens=10",
    "method.samples_every=1", "optimizer.lr=0.01", "trainer.checkpoint_every=1", "trainer.keep=0", "trainer.epochs=4",
)  # fmt: skip


def run(folder: Path, *words: str) -> Any:
    made = twin(folder, *TINY, *words)
    made.carry_out()
    return made


def weights(folder: Path) -> dict[str, str]:
    files = (folder / "artifact").rglob("*.safetensors")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    changing = {"seconds", "tokens_per_second", "memory_bytes", "rollout_seconds"}
    return {name: value for name, value in record.items() if name not in changing}


SETTINGS = {
    "one step on each answer": (2, "trainer.max_steps=3"),
    "several, with a reference": (
        4,
        "trainer.max_steps=6",
        "method.iterations=3",
        "method/kl=k3",
        "adaptation=lora",
    ),
    "a value head": (3, "trainer.max_steps=5", "method.iterations=2", "method/advantage=gae", "method/kl=k1"),
}


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_a_run_goes_on_bit_equal_answers_included(tmp_path: Path, words: tuple[Any, ...]) -> None:
    """The cut is where the answers are to be trained on once more, if there is such a place."""
    cut, *words = words
    run(tmp_path / "whole", *words)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    for later in (tmp_path / "cut" / "checkpoints").iterdir():
        if int(later.name.rpartition("-")[2]) > cut:
            shutil.rmtree(later)
    shutil.rmtree(tmp_path / "cut" / "artifact")
    run(tmp_path / "cut", *words, "resume=auto")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    for name in ("metrics.jsonl", "rollouts.jsonl"):
        again, once = (list(map(timeless, lines(tmp_path / place / name))) for place in ("cut", "whole"))
        assert again == once


def steps(folder: Path) -> list[dict[str, Any]]:
    return lines(folder / "metrics.jsonl")


def test_the_reward_rises(tmp_path: Path) -> None:
    run(tmp_path, "trainer.max_steps=20", "trainer.epochs=20", "batch.size=4", "method.group=8", "trainer.keep=1")
    rewards = [step["reward"] for step in steps(tmp_path)]
    assert sum(rewards[-5:]) / 5 > sum(rewards[:5]) / 5 + 0.03


def test_the_second_step_on_the_same_answers_knows_how_likely_they_were(tmp_path: Path) -> None:
    run(tmp_path, "trainer.max_steps=2", "method.iterations=2")
    first, second = steps(tmp_path)
    assert first["importance_ratio"] == pytest.approx(1, abs=1e-5)
    assert abs(second["importance_ratio"] - 1) > 1e-4
    assert (first["reward"], second["rollout_seconds"]) == (second["reward"], 0)


def test_answers_drawn_by_other_probabilities_are_noticed(tmp_path: Path) -> None:
    run(tmp_path / "same", "trainer.max_steps=1")
    run(tmp_path / "other", "trainer.max_steps=1", "trainer.precision=bf16")
    assert steps(tmp_path / "same")[0]["rollout_mismatch"] < 1e-5 < steps(tmp_path / "other")[0]["rollout_mismatch"]


def test_near_the_end_of_its_room_an_answer_earns_less(tmp_path: Path) -> None:
    rollouts = twin(tmp_path, *TINY, "method.overlong_tokens=4", "method.overlong_penalty=0.5").method.rollouts
    penalties = rollouts.settings.overlong_penalties(torch.tensor([5, 6, 7, 8, 10]), rollouts.rollout.max_new_tokens)
    assert penalties.tolist() == [0, 0, 0.125, 0.25, 0.5]


def test_groups_that_are_all_alike_are_exchanged_and_cost_nothing(tmp_path: Path) -> None:
    run(tmp_path, "trainer.max_steps=2", "method.reward.most=99", "method.reward.fewest=0", "method.resample=2")
    for step in steps(tmp_path):
        assert (step["zero_std_groups"], step["resampled"], step["gradient_norm"]) == (1, 2, 0)
        assert step["tokens"] <= 4  # nothing of the answers is computed


def test_a_run_goes_on_when_some_examples_have_no_reward(tmp_path: Path) -> None:
    made = twin(tmp_path, *TINY, "trainer.max_steps=4", "method.most_faults=0.9", "method.reward_retries=0")
    for worker in made.method.reward_runner.workers:
        worker.reward = length_or_fault
    made.carry_out()
    shares = [step["unscored"] for step in steps(tmp_path)]
    assert max(shares) > 0
    assert min(shares) < 1
    warnings = json.loads((tmp_path / "record.json").read_text())["warnings"]
    assert any("left out of training" in warning for warning in warnings)
    rows = lines(tmp_path / "rollouts.jsonl")
    assert {row["reward"] is None for row in rows} == {True, False}


def test_a_reward_that_is_out_of_order_ends_the_run_and_can_be_resumed(tmp_path: Path) -> None:
    made = twin(tmp_path, *TINY, "trainer.max_steps=30", "trainer.epochs=30", "method.quarantine=9")
    for worker in made.method.reward_runner.workers:
        worker.reward = always_fails
    with pytest.raises(PluginError, match="out of order"):
        made.carry_out()


def test_prompts_are_trained_on_nowhere(tmp_path: Path) -> None:
    made = twin(tmp_path, *TINY)
    example = made.parts.prompt(made.data.examples("train")[0])
    row = made.method.encode(example, made.model.tokenizer)
    assert row.prompt_only
    assert not row.sequences[0].weights.any()
    assert example["messages"][-1]["content"] not in made.model.tokenizer.decode(row.sequences[0].ids)


# Through the command line


def test_a_recipe_without_packing_says_how_to_have_it(tmp_path: Path) -> None:
    done = luthier("method=grpo", "debug=tiny", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 2
    assert "batch.packing=false" in done.stderr


def test_what_a_reward_pays_for_is_said_before_a_training(tmp_path: Path) -> None:
    words = ("recipe=grpo", "debug=tiny", "--json")
    strict = json.loads(luthier("reward-check", *words).stdout)
    assert strict["gameable"] == []
    assert {each["kind"]: each["mean"] for each in strict["findings"]}["golden"] == 1
    assert {each["kind"] for each in strict["findings"]} >= {"empty", "over-long", "repeated", "injection", "form only"}
    refused = luthier("reward-check", "debug=tiny")
    assert refused.returncode == 2
    assert "has no reward" in refused.stderr


def test_held_out_rewards_are_measured_before_and_after(tmp_path: Path) -> None:
    done = luthier("recipe=grpo", "debug=tiny", f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    names = {each["name"] for each in json.loads((tmp_path / "record.json").read_text())["comparisons"]}
    assert {"reward", "answer_tokens"} <= names

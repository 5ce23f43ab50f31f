"""What may change where a training goes on takes effect in the very next optimizer step; nothing is ignored."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from torch import nn

from luthier.testing.twin import composer
from luthier.training.optimizer_state import move_to, names, take_over
from luthier.training.optimizers.adamw import AdamW
from luthier.training.optimizers.muon import Muon
from luthier.training.optimizers.schedules import Linear
from tests.framework.resuming.next_step import AT, by_hand, carried_out, checkpoint, weights
from tests.held_out_rows import held_out

CATALOG = composer().catalog
OPTIMIZERS = [name for name in CATALOG.names("optimizer") if name != "adamw_8bit"]  # which needs CUDA
ANSWERS: dict[str, Any] = {"adamw": AdamW, "muon": Muon}
SCHEDULES = CATALOG.names("optimizer/schedule")


def settings(question: str, name: str) -> dict[str, Any]:
    answer = yaml.safe_load(CATALOG.answers[question, name].text)
    return {key: value for key, value in answer.items() if key not in ("defaults", "_target_")}


def another(value: float) -> float:
    return value + 1 if isinstance(value, int) else 0.25 if value == 0 else value / 2 if value > 1e-6 else 0.1


def every_setting() -> list[Any]:
    """Each setting of each optimizer, each schedule, and each setting of each schedule."""
    found = []
    for name in OPTIMIZERS:
        for setting, value in settings("optimizer", name).items():
            changed = 10.0 if setting == "weight_decay" else another(value)  # a small one is lost in Muon's rounding
            found.append((name, (f"optimizer.{setting}={changed}",)))
    for name in SCHEDULES:
        chosen = f"optimizer/schedule={name}"
        found.append(("adamw", (chosen, "optimizer.schedule.warmup=0.5")))
        found += [
            ("adamw", (chosen, "optimizer.schedule.warmup=0", f"optimizer.schedule.{setting}={another(value)}"))
            for setting, value in settings("optimizer/schedule", name).items()
            if setting != "warmup"
        ]
    core = {("muon", "momentum"), ("adamw", "lr"), ("adamw", "weight_decay")}
    return [
        pytest.param(
            *one,
            id=" ".join(one[1]),
            marks=[] if (one[0], one[1][0].split("=")[0].split(".")[-1]) in core else pytest.mark.exhaustive,
        )
        for one in found
    ]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a run that was interrupted, by its further words."""
    made: dict[tuple[str, ...], Path] = {}

    def of(*words: str) -> Path:
        if words not in made:
            made[words] = tmp_path_factory.mktemp("begun") / "run"
            carried_out(made[words], *words)
        return made[words]

    return of


@pytest.fixture(scope="module")
def adamw(begun: Any) -> Path:
    return begun("optimizer=adamw")


@pytest.fixture(scope="module")
def with_held_out(begun: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """A run with a validation split, and the words for its data."""
    words = held_out(tmp_path_factory.mktemp("rows"))
    return begun(*words), words


def assert_next_step(start: Path, tmp_path: Path, *words: str) -> None:
    step = int(start.name.removeprefix("step-"))
    expected, rates = by_hand(start, tmp_path / "by_hand", *words)
    carried_out(tmp_path / "run", *words, f"resume={start}")
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert line["step"] == step + 1
    assert line["learning_rate"] == pytest.approx(rates[0], rel=1e-6)
    there = weights(tmp_path / "run", step + 1)
    assert there.keys() == expected.keys()
    for name, weight in expected.items():
        assert (there[name] - weight).abs().max() < rounding(*words), name


def rounding(*words: str) -> float:
    """Muon's iterations are in bfloat16."""
    return 2e-4 if "optimizer=muon" in words else 1e-6


@given(
    lr=st.floats(1e-6, 1), factor=st.sampled_from([0.5, 1.0, 4.0]), step=st.integers(0, 30), total=st.integers(1, 40)
)
@settings_of_hypothesis(max_examples=25, deadline=None)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_is_taken_over_by_name_and_every_setting_is_that_of_now(
    name: str, lr: float, factor: float, step: int, total: int
) -> None:
    """Whatever the rate of a weight was: it decides in which group the weight is, and so the order of the state."""

    def made(rate: float, **changed: float) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
        torch.manual_seed(0)
        network = nn.ModuleDict({"first": nn.Linear(3, 4), "score": nn.Linear(4, 2), "last": nn.Linear(4, 3)})
        answer = ANSWERS[name](Linear(warmup=0.1), **changed)
        both = answer(network.named_parameters(), total, lambda of: rate if "last" in of else 1.0)
        return network, both["optimizer"], both["lr_scheduler"]["scheduler"]

    old_network, old, old_schedule = made(2.0)
    for weight in old_network.parameters():
        weight.grad = torch.randn(weight.shape)
    old.step()
    for _ in range(step):
        old_schedule.step()
    other = {key: another(value) for key, value in settings("optimizer", name).items() if key != "lr"}
    network, now, schedule = made(factor, lr=lr, **other)
    fresh = [{key: value for key, value in group.items() if key not in ("params", "lr")} for group in now.param_groups]
    take_over(now, old.state_dict()["state"], names(old, old_network), names(now, network))
    move_to(schedule, old_schedule.state_dict())
    assert [{key: group[key] for key in one} for group, one in zip(now.param_groups, fresh, strict=True)] == fresh
    for group in now.param_groups:
        assert group["lr"] == pytest.approx(group["initial_lr"] * schedule.lr_lambdas[0](step), abs=1e-15)
    of = dict(old_network.named_parameters())
    for weight_name, weight in network.named_parameters():
        for key, value in old.state[of[weight_name]].items():
            assert torch.equal(now.state[weight][key], value), (weight_name, key)


@pytest.mark.parametrize(("optimizer", "words"), every_setting())
def test_a_setting_of_optimizer_and_schedule_holds_from_the_next_step(
    begun: Any, tmp_path: Path, optimizer: str, words: tuple[str, ...]
) -> None:
    start = checkpoint(begun(f"optimizer={optimizer}"), AT)
    assert_next_step(start, tmp_path, f"optimizer={optimizer}", *words)
    unchanged = weights(begun(f"optimizer={optimizer}"), AT + 1)
    there = weights(tmp_path / "run", AT + 1)
    moved = max(float((there[name] - weight).abs().max()) for name, weight in unchanged.items())
    assert moved > 2 * rounding(f"optimizer={optimizer}"), "it changes something"


STEPS = {
    "epochs": ("trainer.epochs=1", "trainer.max_steps=null"),
    "max_steps": ("trainer.max_steps=9",),
    "clip": ("trainer.clip=0.05",),
    "precision": ("trainer.precision=bf16",),
}
"""Trainer settings that change an optimizer step."""
AROUND = {
    "checkpoint_every": "2", "keep": "1", "log_every": "3", "validate_every": "2", "monitor": "loss",
    "keep_best": "true", "hang_after": "600", "when_hung": "resume", "spikes": "skip", "max_seconds": "3600",
    "max_disk": "5",
}  # fmt: skip
"""Those that change what happens around the steps."""
INSTEAD = {"validate_every_epochs": "0.5", "validate_every_seconds": "0.001"}
"""Those of which only one of its kind can be set."""
ELSEWHERE = {"accelerator", "devices", "num_nodes"}
"""Those of which other tests show that a run goes on with others: `test_loader.py`, `test_ranks.py`,
`test_machines.py`."""


def test_every_setting_of_the_trainer_is_tried_here() -> None:
    assert {*STEPS, *AROUND, *INSTEAD, *ELSEWHERE} == set(settings("trainer", "cpu"))


@pytest.mark.parametrize(
    "setting", [pytest.param(one, marks=[] if one in ("epochs", "clip") else pytest.mark.exhaustive) for one in STEPS]
)
def test_a_setting_of_the_trainer_holds_from_the_next_step(adamw: Path, tmp_path: Path, setting: str) -> None:
    assert_next_step(checkpoint(adamw, AT), tmp_path, *STEPS[setting])


def test_settings_around_the_steps_hold_from_there(with_held_out: Any, tmp_path: Path) -> None:
    folder, data = with_held_out
    words = (*data, *(f"trainer.{name}={value}" for name, value in AROUND.items()), "trainer.max_steps=9")
    run = carried_out(tmp_path / "run", *words, "tracking=csv", f"resume={checkpoint(folder, AT)}")
    validated = [json.loads(line) for line in (tmp_path / "run" / "validations.jsonl").read_text().splitlines()]
    assert [line["step"] for line in validated if line["step"] > AT] == [4, 6, 8, 9]
    assert {line["monitor"] for line in validated if line["step"] > AT} == {"validation_loss"}
    assert run.end.best is not None
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {"step-00000009", f"step-{run.end.best.step:08d}"}
    with (tmp_path / "run" / "csv" / "version_0" / "metrics.csv").open() as stream:
        tracked = [line for line in csv.DictReader(stream) if line["learning_rate"]]
    assert [int(line["step"]) for line in tracked] == [6, 9]


@pytest.mark.parametrize("setting", INSTEAD)
def test_another_clock_of_validations_holds_from_there(with_held_out: Any, tmp_path: Path, setting: str) -> None:
    folder, data = with_held_out
    words = (*data, f"trainer.{setting}={INSTEAD[setting]}", "trainer.stop.patience=1", "trainer.stop.min_delta=100")
    words = (*words, "trainer/stop=early", "trainer.max_steps=9")
    run = carried_out(tmp_path / "run", *words, f"resume={checkpoint(folder, AT)}")
    steps = [one.step for one in run.end.results]
    assert steps[-2:] == ([4, 5] if setting == "validate_every_seconds" else [5, 6])
    assert run.end.stopped, "and the new rule ends it"


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (("adaptation=lora_plus", "adaptation.ratio=16"), "adaptation.ratio=1"),
        (("method=cpt", "method.embedding_rate=1"), "method.embedding_rate=5"),
    ],
    ids=["LoRA+", "embeddings"],
)
def test_the_rate_of_a_group_holds_from_the_next_step(
    begun: Any, tmp_path: Path, words: tuple[str, ...], changed: str
) -> None:
    assert_next_step(checkpoint(begun(*words), AT), tmp_path, *words, changed)


def test_a_finished_run_that_is_extended_goes_on_as_a_longer_one_would(adamw: Path, tmp_path: Path) -> None:
    assert_next_step(checkpoint(adamw, 6), tmp_path, "trainer.max_steps=9")
    rates = [
        json.loads(line)["learning_rate"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert len(rates) == 3
    assert min(rates) > 0


def test_a_batch_of_another_size_holds_from_the_next_step(adamw: Path, tmp_path: Path) -> None:
    assert_next_step(checkpoint(adamw, AT), tmp_path, "batch.size=3", "batch.micro=2", "trainer.max_steps=null")

"""How a batch is cut into micro-batches and ranks does not change the update."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.command import luthier

COMMON = ("debug=tiny", "stages=[fit]", "batch.packing=false")
EIGHT = ("trainer.max_steps=3", "trainer.epochs=3", "batch.size=8")
RANKS = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=fp32")


def trained(folder: Path, *overrides: str) -> tuple[list[float], dict]:
    done = luthier(*COMMON, *overrides, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    losses = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return losses, load_file(folder / "artifact" / "model.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[float], dict]:
    return trained(tmp_path_factory.mktemp("whole") / "run", *EIGHT, "batch.micro=8")


@pytest.mark.parametrize(
    "cut",
    [
        ("batch.micro=4",),
        ("batch.micro=1",),
        ("batch.micro=4", *RANKS),
    ],
    ids=["4 x 2", "1 x 8", "two ranks of 4"],
)
def test_a_batch_of_eight_gives_one_update_however_it_is_cut(
    cut: tuple[str, ...], whole: tuple[list[float], dict], tmp_path: Path
) -> None:
    losses, weights = trained(tmp_path / "run", *EIGHT, *cut)
    assert losses == pytest.approx(whole[0], rel=1e-5)
    for name, weight in whole[1].items():
        assert (weights[name] - weight).abs().max() < 2e-5, name


def test_a_rank_with_nothing_but_padding_adds_nothing_to_the_last_step(tmp_path: Path) -> None:
    """Nine rows in steps of eight leave one for the last step, of which the second of two ranks has no part."""
    words = ("data.limit=12", "trainer.max_steps=2", "trainer.epochs=1", "batch.size=8")
    alone, there = trained(tmp_path / "alone", *words, "batch.micro=8")
    together, weights = trained(tmp_path / "ranks", *words, "batch.micro=4", *RANKS)
    whole, last = [
        json.loads(line)["tokens"] for line in (tmp_path / "ranks" / "metrics.jsonl").read_text().splitlines()
    ]
    assert last < whole / 5
    assert together == pytest.approx(alone, rel=1e-5)
    for name, weight in there.items():
        assert (weights[name] - weight).abs().max() < 2e-5, name

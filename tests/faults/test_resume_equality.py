"""Rows 18 and 19 of the fault catalogue: killed anywhere, a run goes on to the bits of one that was not."""

from __future__ import annotations

import json
import os

import pytest

from luthier.workflows.resume_proof.cuts import Point
from luthier.workflows.resume_proof.proof import chosen
from tests.command import luthier
from tests.held_out_rows import held_out

FORGETFUL = """
import luthier
import pytorch_lightning as pl
import torch


class Forgetful(pl.Callback):
    seen = 0

    def on_train_batch_end(self, trainer, module, *_):
        self.seen += 1
        weight = next(one for one in module.parameters() if one.requires_grad)
        with torch.no_grad():
            weight.add_(0.001 * self.seen)


@luthier.hookimpl
def luthier_callbacks(config):
    return [Forgetful()]
"""

MODES = {
    "lora": ("adaptation=lora", "adaptation.dropout=0.1"),
    "full": ("adaptation=full",),
    "rows of their own": ("adaptation=lora", "batch.packing=false", "data.limit=13"),
    "workers": ("adaptation=lora", "batch.workers=2"),
    "accumulation": ("adaptation=lora", "batch.size=4", "batch.micro=1"),
    "validation and the best": (
        "adaptation=lora", "trainer.validate_every=3", "trainer.keep_best=true", "trainer.monitor=loss",
    ),
    "dpo": ("recipe=preference",),
    "grpo": ("recipe=grpo",),
}  # fmt: skip


CUTS = int(os.environ.get("LUTHIER_CUTS", 3))
"""In each of seven modes; with 20 there are 140, which take half an hour and more."""


def proved(folder, *words):
    done = luthier("prove-resume", "debug=tiny", *words, "--json", cwd=folder, timeout=1800, OMP_NUM_THREADS="1")
    return done, json.loads(done.stdout) if done.stdout else {}


def test_row_18_a_run_killed_anywhere_is_resumed_bit_equal(tmp_path):
    done, proof = proved(tmp_path, *MODES["lora"], "--cuts=3", "--seed=1", "--keep=runs")
    assert done.returncode == 0, done.stderr
    assert proof["equal"]
    assert [cut["equal"] for cut in proof["cuts"]] == [True] * 3
    assert {"weights", "optimizer", "random generators", "place in the data", "data order", "loss"} <= set(
        proof["compared"]
    )
    kinds = {line.split("\t")[1] for line in (tmp_path / "runs" / "points").read_text().splitlines()}
    assert {"writing a checkpoint", "naming a checkpoint", "before the update", "end of an epoch"} <= kinds


def test_row_18_a_state_that_is_in_no_checkpoint_is_found_out(tmp_path):
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    done, proof = proved(tmp_path, "adaptation=lora", "-p", "forgetful", "--cuts=1", "--steps=4", "--seed=3")
    assert done.returncode == 4, done.stderr
    assert not proof["equal"]
    assert proof["repeats"], "two whole runs are equal"
    assert proof["cuts"][0]["differs"]["weights"]
    assert "StatefulPart" in done.stderr


def test_row_18_the_points_are_of_every_kind_and_follow_from_the_seed():
    points = [Point(step, kind) for step in range(30) for kind in ("a", "b", "c")] + [Point(31, "rare")]
    assert {points[number].kind for number in chosen(points, 4, 0)} == {"a", "b", "c", "rare"}
    assert chosen(points, 20, 5) == chosen(points, 20, 5) != chosen(points, 20, 6)
    assert len(set(chosen(points, 20, 5))) == 20
    assert len(chosen(points, 500, 0)) == len(points)


def test_a_recipe_that_trains_nothing_has_nothing_to_prove(tmp_path):
    done, _ = proved(tmp_path, "stages=[evaluate]")
    assert done.returncode == 2
    assert "trains nothing" in done.stderr


@pytest.mark.exhaustive
@pytest.mark.parametrize("mode", [name for name in MODES if name != "lora"])
def test_row_19_in_every_mode(tmp_path, mode):
    data = held_out(tmp_path) if mode == "validation and the best" else ()
    done, proof = proved(tmp_path, *MODES[mode], *data, f"--cuts={CUTS}", "--steps=4")
    assert done.returncode == 0, done.stderr
    assert proof["equal"]
    assert len(proof["cuts"]) == CUTS

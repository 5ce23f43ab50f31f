"""Rows 20, 24 and 49 of the fault catalogue: a run's steps are made again, and what differs is said."""

from __future__ import annotations

import json

import pytest

from tests.command import luthier

RECIPE = (
    "stages=[fit]", "name=run", "trainer.max_steps=6", "trainer.epochs=6", "trainer.checkpoint_every=2",
    "trainer.keep=0", "adaptation=lora", "adaptation.dropout=0.1", "data=jsonl", "data.file=mine.jsonl",
    "data/format=prompt_completion", "trainer.precision=fp32", "batch.length=128", "batch.size=2", "batch.micro=1",
    "batch.packing=false",
)  # fmt: skip


def write(folder, word="answer"):
    rows = [{"prompt": f"question {number}", "completion": f"{word} {number * 7}"} for number in range(20)]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def trained(tmp_path):
    write(tmp_path)
    done = luthier(*RECIPE, cwd=tmp_path, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    return tmp_path


def reproduced(folder, *words, seed="7"):
    done = luthier(
        "reproduce", "runs/run", *words, "--json", cwd=folder, OMP_NUM_THREADS="1", PYTHONHASHSEED=seed
    )  # fmt: skip
    return done, json.loads(done.stdout) if done.stdout else {}


def change(file, text, other):
    before = file.read_text()
    assert text in before
    file.write_text(before.replace(text, other, 1))


def test_row_20_steps_of_a_run_are_made_again_to_the_bit_and_what_differs_is_named(trained):
    run = trained / "runs" / "run"
    done, found = reproduced(trained)
    assert done.returncode == 0, done.stderr
    assert (found["first_step"], found["last_step"]) == (5, 6)
    assert found["equal"]
    assert found["surroundings"] == {}
    assert {"data order", "batches", "random generators of each step", "weights", "optimizer"} <= set(found["compared"])

    change(run / "env.json", '"torch": "', '"torch": "0.')
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    change(run / "metrics.jsonl", str(metrics[1]["loss"]), "1.25")
    digest = json.loads((run / "digests.jsonl").read_text().splitlines()[2])["examples"]
    change(run / "digests.jsonl", digest, "0" * 16)
    done, found = reproduced(trained, "--step=0", "--steps=3")
    assert done.returncode == 4, done.stderr
    assert found["differs"] == {"loss": [f"step 2: {metrics[1]['loss']}, was 1.25"], "data order": ["step 3"]}
    assert "torch was 0." in done.stderr


def test_row_49_data_that_has_changed_since_is_refused_before_a_step_is_made(trained):
    write(trained, "other")
    done, _ = reproduced(trained)
    assert done.returncode == 2
    assert "other data than that of the checkpoint" in done.stderr
    assert "note: data was" in done.stderr


def test_what_the_run_does_not_have_is_refused_by_what_it_has(trained):
    done, _ = reproduced(trained, "--step=3")
    assert done.returncode == 2
    assert "It has 0, 2, 4, 6." in done.stderr
    done, _ = reproduced(trained, "--step=4", "--steps=9")
    assert done.returncode == 2
    assert "recorded 6 steps" in done.stderr

"""To be measured, data needs no training rows; and what could not be scored ends no run with 0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import luthier as command

MEASURE = ("debug=tiny", "stages=[evaluate]", "evaluation.general_examples=0", "evaluation.samples=0", "data=jsonl")


def rows(file: Path, *, split: str | None = None, count: int = 5, **further: object) -> str:
    turns = [{"role": "user", "content": "Which {}?"}, {"role": "assistant", "content": "This {}."}]
    lines = [
        {"messages": [{**turn, "content": turn["content"].format(number)} for turn in turns], **further}
        | ({"split": split} if split else {})
        for number in range(count)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"data.file={file}"


@pytest.mark.parametrize("how", ["test", "validation", "all are held out"])
def test_a_file_without_training_rows_is_measured_and_measured_again(tmp_path, how):
    split = how if how != "all are held out" else None
    words = [rows(tmp_path / "rows.jsonl", split=split), *([] if split else ["data.splits.test=1"])]
    done = command(*MEASURE, *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["evaluated"][f"{split or 'test'}: examples evaluated"] == 5
    again = command("evaluate", str(tmp_path / "run"), "--split", split or "test")
    assert again.returncode == 0, again.stderr


def test_a_finished_run_is_measured_on_another_file_of_held_out_rows(tmp_path):
    done = command("debug=tiny", "stages=[fit]", "adaptation=lora", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    words = (rows(tmp_path / "rows.jsonl"), "data.splits.test=1", "model=run", f"model.path={tmp_path / 'run'}")
    measured = command(*MEASURE, *words, f"hydra.run.dir={tmp_path / 'measured'}")
    assert measured.returncode == 0, measured.stderr


def test_to_train_on_it_is_refused_before_anything_is_measured(tmp_path):
    words = (rows(tmp_path / "rows.jsonl", split="test"), "stages=[baseline,fit]")
    done = command(*MEASURE, *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 3
    assert "No example is left to train on: there are 5 in test." in done.stderr
    assert "measuring" not in done.stderr


def test_a_run_that_measures_needs_rows_that_are_held_out(tmp_path):
    words = (rows(tmp_path / "rows.jsonl", split="train"), "stages=[fit,evaluate]")
    done = command(*MEASURE, *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 3
    assert "No example is held out to measure on: all 5 are for training." in done.stderr
    assert "step 1/" not in done.stderr


@pytest.mark.parametrize("stage", ["evaluate", "fit"])
def test_a_reward_that_fails_for_every_answer_ends_a_run_with_its_reason(tmp_path, stage):
    failing = ("recipe=grpo", "method/reward=json_schema", "method.reward.column=text", "method.group=2")
    quick = ("evaluation.general_examples=0", "evaluation.samples=0", "score=reward", "trainer.max_steps=2")
    done = command("debug=tiny", *failing, *quick, f"stages=[{stage}]", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 7, done.stderr
    assert "answers, so that nothing is known of them; the last fault: JSONDecodeError" in done.stderr

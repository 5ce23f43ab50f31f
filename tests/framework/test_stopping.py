"""`trainer/stop`, `trainer.keep_best` and the validation intervals, through the command line."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.command import luthier
from tests.held_out_rows import held_out

RECIPE = (
    "recipe=demo", "name=run", "stages=[fit,evaluate]", "data.splits.validation=0.2", "data.limit=200",
    "trainer.max_steps=16", "trainer.epochs=19", "trainer.validate_every=2", "trainer.checkpoint_every=3",
    "optimizer.lr=0.1", "evaluation.general_examples=0", "evaluation.samples=0",
)  # fmt: skip
BEST = (*RECIPE, "trainer.keep_best=true", "trainer.keep=1", "score=macro_f1")
"""The score rises once, at step 14, and falls again; before, it is always the same."""
STOP = (*BEST, "trainer/stop=early", "trainer.stop.patience=3")
CUT = """
import os, signal
import luthier

@luthier.hookimpl
def luthier_callbacks(config):
    import pytorch_lightning as pl
    from luthier.evaluation.evaluation import Evaluation

    class Cut(pl.Callback):
        seen = 0

        def on_train_batch_end(self, *_):
            self.seen += 1
            self.at("batch")

        def on_validation_batch_start(self, *_):
            self.at("validation")

        def at(self, place):
            if os.environ.get("CUT") == f"{place} {self.seen}":
                os.environ["CUT"] = ""
                os.kill(os.getpid(), getattr(signal, os.environ["CUT_BY"]))

    cut, measure = Cut(), Evaluation.measure

    def measured(*given):
        cut.at("score")
        return measure(*given)

    Evaluation.measure = measured
    return [cut]
"""


def run(folder: Path, *overrides: str, cut: tuple[str, str] = ("", "")) -> subprocess.CompletedProcess[str]:
    """In a process that can be killed in the middle."""
    folder.mkdir(exist_ok=True)
    (folder / "cut.py").write_text(CUT)
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return luthier(
        "-p", "cut", *overrides, cwd=folder, CUT=cut[0], CUT_BY=cut[1], PYTHONPATH=paths, OMP_NUM_THREADS="1"
    )


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def left(folder: Path) -> dict:
    """What must be the same after a kill."""
    run = folder / "runs" / "run"
    record = json.loads((run / "record.json").read_text())
    told = ("steps", "stopped", "validations", "monitor", "last_value", "best_step", "best_value", "kept")
    scores = {one["name"]: one["after"]["value"] for one in record["comparisons"]}
    return {
        "weights": (run / "artifact" / "model.safetensors").read_bytes(),
        "validations": (run / "validations.jsonl").read_text(),
        "losses": [line["loss"] for line in lines(run / "metrics.jsonl")],
        "record": {name: record["training"][name] for name in told},
        "scores": scores,
        "checkpoints": sorted(path.name for path in (run / "checkpoints").iterdir()),
    }


def assert_made_of(run: Path, step: int) -> None:
    """The artifact has the weights of that step's checkpoint, in which a tied weight has one of its names."""
    checkpoint = load_file(run / f"checkpoints/step-{step:08d}/state.safetensors")
    for name, weight in load_file(run / "artifact/model.safetensors").items():
        names = (f"state_dict/network.{name}", "state_dict/network.lm_head.weight")
        assert weight.equal(next(checkpoint[one] for one in names if one in checkpoint)), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    done = run(folder, *BEST)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_artifact_is_the_checkpoint_with_the_best_score_and_the_run_says_so(whole):
    folder, training = whole / "runs" / "run", left(whole)["record"]
    results = lines(folder / "validations.jsonl")
    best = max(results, key=lambda one: one["value"])
    assert best["step"] == training["best_step"] < results[-1]["step"], "the test needs a best that is not the last"
    assert training["monitor"] == best["monitor"] == "macro_f1"
    assert_made_of(folder, best["step"])
    said = f"step {best['step']}: macro-F1 on the validation split"
    for text in (folder / "report.html", folder / "MODEL_CARD.md"):
        assert said in text.read_text(), text.name
        assert f"at the last step, {results[-1]['step']}" in text.read_text(), text.name
    manifest = json.loads((folder / "artifact" / "manifest.json").read_text())
    assert manifest["step"] == manifest["best"]["step"] == best["step"]
    curves = json.loads((folder / "record.json").read_text())["curves"]
    assert curves["validation_score"] == [[one["step"], one["value"]] for one in results]
    assert [step for step, _ in curves["validation_loss"]] == [one["step"] for one in results]


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([("batch 15", "SIGKILL")], id="after the best", marks=pytest.mark.exhaustive),
        pytest.param([("validation 13", "SIGKILL")], id="in its validation", marks=pytest.mark.exhaustive),
        pytest.param([("score 13", "SIGKILL")], id="while its score is measured"),
        pytest.param(
            [("score 13", "SIGTERM"), ("score 0", "SIGKILL")], id="there with time to save, and when it is made up for"
        ),
        pytest.param(
            [("batch 14", "SIGTERM"), ("validation 1", "SIGTERM")], id="before and after", marks=pytest.mark.exhaustive
        ),
    ],
)
def test_a_run_that_was_killed_keeps_the_same_best(whole, tmp_path, cuts):
    finish_after(cuts, tmp_path, BEST)
    assert left(tmp_path) == left(whole)


def finish_after(cuts: list[tuple[str, str]], folder: Path, settings: tuple[str, ...]) -> None:
    for number, cut in enumerate(cuts):
        done = run(folder, *settings, *(["resume=auto"] if number else []), cut=cut)
        assert done.returncode == {"SIGKILL": -signal.SIGKILL, "SIGTERM": 143}[cut[1]], done.stderr
    done = run(folder, *settings, "resume=auto")
    assert done.returncode == 0, done.stderr


def test_a_run_that_was_killed_stops_at_the_same_step(tmp_path):
    done = run(tmp_path / "whole", *STOP)
    assert done.returncode == 0, done.stderr
    assert "stopped after step 8 of 16: macro-F1 on the validation split has not got better than" in done.stderr
    assert "kept step 2: macro-F1 on the validation split" in done.stderr, "of equal values the earliest"
    finish_after([("validation 3", "SIGTERM"), ("batch 3", "SIGKILL")], tmp_path / "cut", STOP)
    assert left(tmp_path / "cut") == left(tmp_path / "whole")


def test_a_finished_run_that_is_resumed_has_the_same_artifact(whole):
    before = left(whole)
    done = run(whole, *BEST, "resume=auto")
    assert done.returncode == 0, done.stderr
    assert left(whole) == before


def test_two_ranks_agree_on_the_score_of_the_first(tmp_path):
    ranks = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.precision=fp32")
    settings = (*STOP, *ranks, "batch.micro=2")
    done = luthier(*settings, cwd=tmp_path, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    results, training = lines(tmp_path / "runs/run/validations.jsonl"), left(tmp_path)["record"]
    best = max(results, key=lambda one: one["value"])
    assert training["best_step"] == best["step"]
    assert_made_of(tmp_path / "runs/run", best["step"])


@pytest.mark.parametrize(
    "method",
    [
        "dpo",
        "grpo",
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("kto", "cpt", "distill", "reward_model")),
    ],
)
def test_every_method_keeps_its_best(tmp_path, method):
    done = luthier("debug=tiny", "name=run", f"method={method}", "adaptation=full", *held_out(tmp_path), "stages=[fit]",
                   "trainer.max_steps=4", "trainer.epochs=9", "trainer.validate_every=1", "trainer.keep_best=true",
                   "optimizer.lr=0.3", "optimizer/schedule=constant", "batch.packing=false", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = lines(tmp_path / "runs/run/validations.jsonl")
    best = min(results, key=lambda one: one["value"])
    assert [one["step"] for one in results] == [1, 2, 3, 4]
    assert left_training(tmp_path)["best_step"] == best["step"]
    assert_made_of(tmp_path / "runs/run", best["step"])


@pytest.mark.parametrize(
    ("overrides", "code", "said"),
    [
        (["trainer.keep_best=true"], 3, "trainer.keep_best looks at the validation split, and the data has none"),
        (["trainer/stop=early"], 3, "trainer.stop.patience looks at the validation split, and the data has none"),
        (["trainer.validate_every=2", "trainer.validate_every_epochs=0.5"], 2, "Set one of them"),
        (["trainer.validate_every_seconds=0"], 2, "trainer.validate_every_seconds is 0"),
        (["trainer/stop=early", "trainer.stop.patience=0"], 2, "trainer.stop.patience is 0"),
        (["trainer/stop=early", "trainer.stop.patience=null"], 2, "nothing would stop the training"),
        (["trainer/stop=early", "trainer.stop.min_delta=-1"], 2, "trainer.stop.min_delta is -1"),
        (["trainer.monitor=accuracy"], 2, "score"),
    ],
)
@pytest.mark.parametrize("verb", [[], ["plan"]], ids=["run", "plan"])
def test_what_cannot_be_decided_is_refused_before_anything_is_loaded(tmp_path, verb, overrides, code, said):
    done = luthier(*verb, "recipe=demo", "name=run", *overrides, cwd=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())
    assert not (tmp_path / "runs/run/checkpoints").exists()


def test_divergence_needs_no_held_out_data(tmp_path):
    stop = ("trainer/stop=early", "trainer.stop.patience=null", "trainer.stop.divergence=0.5")
    done = luthier("recipe=demo", "name=run", "stages=[fit]", "optimizer.lr=3", "optimizer/schedule=constant", *stop,
                   cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "stopped after step" in done.stderr
    assert "the mean training loss of 10 steps" in left_training(tmp_path)["stopped"]


def left_training(folder: Path) -> dict:
    training: dict = json.loads((folder / "runs" / "run" / "record.json").read_text())["training"]
    return training


BOOM = ("debug=tiny", "name=run", "adaptation=lora", "optimizer/schedule=constant", "optimizer.lr=1e5", "stages=[fit]",
        "trainer.max_steps=9", "trainer.epochs=9")  # fmt: skip
DIVERGENCE = ("trainer/stop=early", "trainer.stop.patience=null", "trainer.stop.divergence=1e36")


def test_a_loss_that_is_not_finite_ends_the_training_and_not_the_run_where_divergence_is_set(tmp_path):
    best = (*held_out(tmp_path), "trainer.validate_every=2", "trainer.keep_best=true")
    assert luthier(*BOOM, *best, cwd=tmp_path).returncode == 4
    done = luthier(*BOOM, *best, *DIVERGENCE, "resume=never", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    training = left_training(tmp_path)
    assert "the training loss or its gradient was not finite" in training["stopped"]
    assert training["best_step"] < training["steps"]


def test_where_divergence_leaves_no_weights_worth_keeping_the_run_ends_with_the_code_of_numbers(tmp_path):
    done = luthier(*BOOM, *DIVERGENCE, cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "The update of step 3 has made weights with which the loss is not finite" in done.stderr
    assert not (tmp_path / "runs/run/artifact").exists()


def test_a_held_out_loss_that_is_not_finite_is_worse_than_any_and_recorded(tmp_path):
    turns = [{"role": "user", "content": "Oak?"}, {"role": "assistant", "content": "Wood."}]
    rows = [json.dumps({"messages": [{**turns[0], "content": f"Oak {n}?"}, turns[1]]}) for n in range(30)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    words = (
        "debug=tiny", "name=run", "adaptation=lora", "optimizer.lr=1e30", "data=jsonl", "data.file=rows.jsonl",
        "data/splits=by_hash", "data.splits.validation=0.3", "data.limit=null", "trainer/stop=early",
        "trainer.stop.divergence=5", "score=perplexity", "trainer.validate_every=1", "evaluation.general_examples=0",
    )  # fmt: skip
    done = luthier(*words, cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "The update of step 1 has made weights that are not finite, so they are not saved." in done.stderr
    (only,) = lines(tmp_path / "runs/run/validations.jsonl")
    assert (only["value"], only["better"]) == ("nan", "lower")


def test_the_interval_may_be_a_share_of_an_epoch(tmp_path):
    settings = [one for one in RECIPE if not one.startswith(("trainer.validate_every", "trainer.max_steps"))]
    done = luthier(*settings, "trainer.max_steps=null", "trainer.epochs=2", "trainer.validate_every_epochs=0.4",
                   "tracking=csv", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = len(lines(tmp_path / "runs/run/metrics.jsonl")) // 2
    due = sorted({-(-step * steps * 2 // 5) for step in range(1, 6)})
    results = lines(tmp_path / "runs/run/validations.jsonl")
    assert [one["step"] for one in results] == due
    with next((tmp_path / "runs/run/csv").rglob("metrics.csv")).open() as stream:
        tracked = [row for row in csv.DictReader(stream) if row.get("validation_loss")]
    assert {int(row["step"]): float(row["validation_loss"]) for row in tracked} == {
        one["step"]: pytest.approx(one["validation_loss"]) for one in results
    }


def test_plan_says_when_a_training_validates_what_ends_it_and_what_is_kept(tmp_path):
    planned = luthier("--json", "plan", *STOP, "trainer.stop.patience=9", cwd=tmp_path)
    held_out = json.loads(planned.stdout)["held_out"]
    assert held_out["count"] == 8
    assert held_out["validation"].startswith("every 2 steps and after the last step: 8 times, on ")
    assert held_out["validation"].endswith("measures macro-F1 each time")
    assert held_out["end"].startswith(
        "after 16 steps, or where macro-F1 on the validation split has not got better in 9"
    )
    assert "it takes 10 validations, and there are 8" in held_out["end"]
    assert held_out["artifact"] == "the checkpoint with the best macro-F1 on the validation split"


def test_plan_counts_the_best_checkpoint(tmp_path):
    def checkpoints(*overrides: str) -> int:
        planned = luthier("--json", "plan", *RECIPE, "trainer.checkpoint_every=1", *overrides, cwd=tmp_path)
        sizes = json.loads(planned.stdout)
        return round(sizes["disk"]["checkpoints"] / (12 * sizes["weights"]["trained"]))

    assert checkpoints("trainer.keep=2") == 3
    assert checkpoints("trainer.keep=2", "trainer.keep_best=true") == 4
    assert checkpoints("trainer.keep=0") == 16

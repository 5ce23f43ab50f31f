"""Trackers log all that metrics.jsonl has, and never stop a run."""

from __future__ import annotations

import csv
import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl
from pytorch_lightning.demos.boring_classes import BoringModel
from pytorch_lightning.loggers import Logger

from luthier.config.instantiate import instantiate
from luthier.errors import RecipeError
from luthier.records.folder import RunFolder
from luthier.training.guarded_logger import GuardedLogger
from luthier_tracking.csv_files import CsvTracker
from luthier_tracking.several import SeveralTrackers
from luthier_tracking.tensorboard import TensorBoardTracker
from luthier_tracking.wandb_tracker import WandbTracker

TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345"
ROWS = [{"loss": 3.0, "tokens": 7}, {"loss": 2.5, "tokens": 9}, {"loss": 2.25, "tokens": 8}]


@pytest.fixture
def folder(tmp_path):
    place = RunFolder(tmp_path / "tone-1")
    place.create()
    place.write_resolved({"seed": 3, "optimizer": {"lr": 0.1}, "hub_token": "x", "note": f"use {TOKEN}"})
    return place


def log_rows(loggers):
    for step, row in enumerate(ROWS, 1):
        for logger in loggers:
            logger.log_metrics(row, step)


def close(loggers):
    for logger in loggers:
        logger.finalize("success")
        logger.close()


def test_csv_holds_every_step(folder):
    loggers = CsvTracker(flush_every=1)(folder)
    log_rows(loggers)
    close(loggers)
    with (folder.path / "csv" / "version_0" / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(float(row["loss"]), int(row["step"])) for row in rows] == [(3.0, 1), (2.5, 2), (2.25, 3)]


def test_a_continued_run_leaves_the_earlier_table_alone(folder):
    for _ in range(2):
        loggers = CsvTracker()(folder)
        log_rows(loggers)
        close(loggers)
    assert sorted(path.name for path in (folder.path / "csv").iterdir()) == ["version_0", "version_1"]


def test_tensorboard_holds_every_step(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loggers = TensorBoardTracker()(folder)
    log_rows(loggers)
    close(loggers)
    events = EventAccumulator(str(folder.path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 3.0), (2, 2.5), (3, 2.25)]


def test_tensorboard_without_its_package_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(RecipeError, match=r"pip install 'luthier\[tensorboard\]'"):
        instantiate({"_target_": "luthier_tracking.tensorboard.TensorBoardTracker"})


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The folder of a run, and what it logged to W&B, read back from W&B's file."""
    from tests.plugins.tracking.wandb_file import read

    place = RunFolder(tmp_path_factory.mktemp("wandb") / "tone-1")
    place.create()
    place.write_resolved({"seed": 3, "optimizer": {"lr": 0.1}, "hub_token": "x", "note": f"use {TOKEN}"})
    place.artifact.mkdir()
    (place.artifact / "model.safetensors").write_bytes(b"weights")
    loggers = WandbTracker(log_model=True, project="tone", tags=["a"], deadline=60)(place)
    log_rows(loggers)
    loggers[0].log_samples([{"prompt": "hello", "answer": f"hi {TOKEN}"}, {"prompt": "bye", "answer": "<script>"}], 3)
    loggers[0].log_artifact(place.artifact)
    close(loggers)
    assert not loggers[0].silent
    return place, read(place.path)


def test_wandb_offline_has_the_metrics_of_every_step(logged):
    history = [row for row in logged[1]["history"] if "loss" in row]
    assert [(row["step"], row["loss"], row["tokens"]) for row in history] == [(1, 3.0, 7), (2, 2.5, 9), (3, 2.25, 8)]


def test_wandb_has_the_configuration_and_the_resolved_recipe_without_secrets(logged):
    place, read = logged
    assert read["config"]["seed"] == 3
    assert read["config"]["optimizer"] == {"lr": 0.1}
    assert "resolved.yaml" in read["files"]
    assert b"AbCdEfGhIjKlMnOpQrStUvWxYz" not in read["bytes"]
    for file in (path for path in place.path.rglob("*") if path.is_file()):
        assert TOKEN.encode() not in file.read_bytes(), file


def test_wandb_has_the_samples_as_a_table(logged):
    place, read = logged
    (table,) = [row["samples.path"] for row in read["history"] if "samples.path" in row]
    (file,) = place.path.glob(f"wandb/*run-*/files/{table}")
    content = json.loads(file.read_text())
    assert content["columns"] == ["prompt", "answer"]
    assert content["data"] == [["hello", "hi [redacted]"], ["bye", "<script>"]]


def test_wandb_uploads_the_model_when_asked(logged):
    assert ("model", "tone-1-model") in logged[1]["artifacts"]


def test_wandb_keeps_no_model_unless_asked_and_writes_nothing_outside_the_folder(folder, monkeypatch, tmp_path):
    from tests.plugins.tracking.wandb_file import read

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    loggers = WandbTracker(deadline=60)(folder)
    log_rows(loggers)
    folder.artifact.mkdir()
    (folder.artifact / "model.safetensors").write_bytes(b"weights")
    loggers[0].log_artifact(folder.artifact)
    close(loggers)
    assert ("model", "tone-1-model") not in read(folder.path)["artifacts"]
    assert not [path for path in (tmp_path / "home").rglob("*") if path.suffix == ".safetensors"]


def test_wandb_disabled_writes_nothing(folder):
    loggers = WandbTracker(mode="disabled")(folder)
    log_rows(loggers)
    close(loggers)
    assert not list(folder.path.glob("wandb/*run-*/*.wandb"))


def test_without_a_key_online_falls_back_to_offline(folder, monkeypatch, caplog, tmp_path):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    loggers = WandbTracker(mode="online", deadline=60)(folder)
    log_rows(loggers)
    close(loggers)
    assert "wandb sync" in caplog.text
    assert list(folder.path.glob("wandb/offline-run-*/*.wandb"))


def test_wandb_is_imported_only_when_it_is_chosen_and_used():
    code = (
        "import sys\nfrom luthier_tracking.wandb_tracker import WandbTracker\n"
        "from luthier_tracking.csv_files import CsvTracker\n"
        "import luthier_tracking\nassert 'wandb.sdk' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Failing(Logger):
    """A tracker whose every call fails."""

    name, version = "failing", ""
    calls = 0

    def log_metrics(self, metrics, step=None):
        Failing.calls += 1
        raise ConnectionError("no route to host")

    def log_hyperparams(self, params, *more, **named):
        raise ConnectionError("no route to host")


def train(*loggers):
    trainer = pl.Trainer(
        max_steps=8, limit_val_batches=0, logger=list(loggers), enable_checkpointing=False, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip

    class Model(BoringModel):
        def on_train_batch_end(self, outputs, batch, index):
            self.log("loss", outputs["loss"])

    trainer.fit(Model())
    return trainer


def test_a_tracker_that_fails_is_left_alone_after_three_times_and_the_run_goes_on(caplog, folder):
    Failing.calls = 0
    with caplog.at_level(logging.WARNING):
        trainer = train(GuardedLogger("failing", Failing), *CsvTracker(flush_every=1)(folder))
    assert trainer.global_step == 8
    assert Failing.calls == 3
    assert caplog.text.count("no route to host") == 3
    assert "told nothing more, metrics.jsonl has everything" in caplog.text
    assert (folder.path / "csv" / "version_0" / "metrics.csv").read_text().count("\n") == 9


def test_a_tracker_that_does_not_start_costs_its_deadline_once(caplog):
    never = threading.Event()
    at = time.monotonic()
    guarded = GuardedLogger("slow", lambda: never.wait(), deadline=0.3)
    trainer = train(guarded)
    assert trainer.global_step == 8
    assert guarded.silent
    assert time.monotonic() - at < 10
    assert caplog.text.count("no answer within") == 1
    never.set()


def test_a_tracker_that_cannot_be_made_is_named(caplog):
    def make():
        raise ImportError("No module named 'nothing'")

    train(GuardedLogger("missing", make))
    assert "Tracker missing failed in log_metrics: ImportError: No module named 'nothing'" in caplog.text


def test_other_ranks_log_nothing(monkeypatch):
    from lightning_utilities.core.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1, raising=False)
    guarded = GuardedLogger("quiet", lambda: pytest.fail("made on another rank"))
    guarded.log_metrics({"loss": 1.0}, 1)
    assert not guarded.silent


def test_several_trackers_log_the_same(folder):
    several = SeveralTrackers(CsvTracker(flush_every=1), lambda place: [], CsvTracker(flush_every=1))
    loggers = several(folder)
    assert [logger.name for logger in loggers] == ["csv", "csv"]


def test_each_answer_is_an_option_file_of_this_plugin():
    import luthier_tracking

    folder = Path(luthier_tracking.__file__).parent / "recipes" / "tracking"
    assert {path.stem for path in folder.glob("*.yaml")} == {"csv", "tensorboard", "wandb", "several"}


def test_a_run_logs_steps_scores_samples_and_model_to_its_trackers(tmp_path):
    from tests.command import luthier
    from tests.plugins.tracking.wandb_file import read

    done = luthier(
        "debug=tiny", "name=run", "stages=[fit,evaluate]", "tracking=several", "tracking.csv.flush_every=1",
        "tracking.wandb.log_model=true", "tracking.wandb.deadline=60", "evaluation.general_examples=0", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "run"
    truth = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logged = read(folder)
    steps = [row for row in logged["history"] if "tokens_per_second" in row]
    same = ("step", "loss", "tokens")
    assert [[row[name] for name in same] for row in steps] == [[row[name] for name in same] for row in truth]
    (end,) = [row for row in logged["history"] if "after/loss" in row]
    assert end["after/loss"] == pytest.approx(json.loads((folder / "score.json").read_text())["score"])
    assert ("model", "run-model") in logged["artifacts"]
    assert any("table" in file for file in logged["files"])
    with (folder / "csv" / "version_0" / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["loss"] for row in rows if row["loss"]] == [str(row["loss"]) for row in truth]
    assert rows[-1]["after/loss"]
    assert list((folder / "tensorboard").glob("events.*"))

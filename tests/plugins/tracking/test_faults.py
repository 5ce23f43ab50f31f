"""A tracker that fails, wherever that is, costs a sentence and a count; the run and its result stay."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from pytorch_lightning.loggers import CSVLogger, Logger

from luthier.errors import PluginError, RecipeError
from luthier.records.folder import RunFolder
from luthier.training import tracking
from luthier.training.guarded_logger import GuardedLogger
from luthier.training.tracking import GuardedTracker
from tests.command import luthier

MODULE = """
from pytorch_lightning.loggers import Logger


class Recorder(Logger):
    name, version = "recorder", ""

    def __init__(self, folder, at):
        super().__init__()
        self.folder, self.at = folder, at

    def log_hyperparams(self, recipe):
        (self.folder.path / "told.json").write_text(__import__("json").dumps(recipe))
        self._fail("hyperparams")

    def log_metrics(self, metrics, step=None):
        self._fail("metrics")

    def close(self):
        self._fail("close")

    def _fail(self, at):
        if self.at == at:
            raise ConnectionError("the server is on holiday")


class Fragile:
    def __init__(self, *, at: str = ""):
        self.at = at
        if at == "constructor":
            raise SystemExit("the server is on holiday")

    def __call__(self, folder):
        if self.at == "call":
            raise ValueError("the server is on holiday")
        return {"none": None, "text": ["the server is on holiday"]}.get(self.at, [Recorder(folder, self.at)])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a plugin that has a tracker."""
    recipes = tmp_path / "fragile" / "recipes" / "tracking"
    recipes.mkdir(parents=True)
    (recipes.parent / "__init__.py").touch()
    (recipes.parents[1] / "__init__.py").touch()
    (recipes.parents[1] / "parts.py").write_text(MODULE)
    (recipes / "fragile.yaml").write_text("# A tracker.\n_target_: fragile.parts.Fragile\nat: ''\n")
    (recipes / "needy.yaml").write_text("# A tracker.\n_target_: fragile.needy.Fragile\nat: ''\n")
    (recipes.parents[1] / "needy.py").write_text("import a_library_on_holiday\n" + MODULE)
    return tmp_path


def tracked(folder: Path, *words: str):
    done = luthier("-p", "fragile", "debug=tiny", "name=run", "evaluation.general_examples=0", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done, json.loads((folder / "runs" / "run" / "record.json").read_text())


@pytest.mark.parametrize(
    "at",
    [
        "constructor", "metrics", "close", *(pytest.param(at, marks=pytest.mark.exhaustive) for at in (
            "call", "hyperparams", "none", "text",
        )),
    ],
)  # fmt: skip
def test_a_tracker_that_fails_stops_no_run(at: str, folder: Path):
    done, record = tracked(folder, "tracking=fragile", f"tracking.at={at}")
    (warning,) = [one for one in record["warnings"] if "racker" in one]
    assert ("holiday" in warning) == (at != "none")
    assert warning.startswith("3 faults of the tracker") == (at == "metrics")  # then it is told nothing more
    assert "(parts.py:" in warning
    assert "Tracker" in done.stderr
    assert record["comparisons"]
    assert warning.partition(":")[0] in (folder / "runs" / "run" / "report.html").read_text()


def test_a_tracker_whose_module_cannot_be_imported_stops_no_run(folder: Path):
    done, record = tracked(folder, "tracking=needy", "stages=[fit]")
    assert "a_library_on_holiday" in done.stderr
    assert [one for one in record["warnings"] if "could not be built" in one]


def test_a_tracker_is_given_the_resolved_recipe_without_secrets(folder: Path):
    _, record = tracked(folder, "tracking=fragile", "stages=[fit]", "seed=3")
    told = json.loads((folder / "runs" / "run" / "told.json").read_text())
    assert told["seed"] == 3
    assert told["tracking"]["_target_"] == "fragile.parts.Fragile"
    assert told["optimizer"]["schedule"]["_target_"]
    assert not [one for one in record["warnings"] if "racker" in one]


def test_a_setting_of_a_tracker_that_is_wrong_is_refused_as_any(folder: Path):
    done = luthier("-p", "fragile", "debug=tiny", "tracking=fragile", "tracking.att=x", cwd=folder)
    assert done.returncode == 2
    assert "tracking.att" in done.stderr


def faults_of(make, tmp_path: Path) -> list[str]:
    """What is said of a tracker that is built, gives its loggers and is told a figure."""
    guarded = GuardedTracker("Mine", make)
    for logger in guarded(RunFolder(tmp_path)):
        logger.log_metrics({"loss": 1.0}, 1)
    return guarded.faults


class Holiday(Logger):
    name, version = "holiday", ""

    def log_hyperparams(self, recipe):
        """Nothing."""

    def log_metrics(self, metrics, step=None):
        raise KeyboardInterrupt

    @property
    def log_samples(self):
        raise KeyError("samples")


@pytest.mark.parametrize("given", [None, 5, Holiday(), ["text"], "text"])
def test_a_tracker_that_gives_no_list_of_loggers_is_named_with_its_place(given, tmp_path: Path):
    (fault,) = faults_of(lambda: lambda folder: given, tmp_path)
    assert "(test_faults.py:" in fault
    assert "must return a list of loggers of Lightning, and returned " in fault


@pytest.mark.parametrize("given", [None, "text"])
def test_what_makes_no_logger_is_named_with_its_place(given, tmp_path: Path):
    (fault,) = faults_of(lambda: lambda folder: [GuardedLogger("mine", lambda: given)], tmp_path)
    assert "(test_faults.py:" in fault
    assert "must return a logger of Lightning, and returned " in fault
    assert "it is told nothing more" in fault


def test_a_logger_that_fails_is_named_with_its_place_and_the_type_of_its_error(tmp_path: Path):
    (fault,) = faults_of(lambda: lambda folder: [Holiday()], tmp_path)
    assert "KeyboardInterrupt, in " in fault
    assert "(test_faults.py:" in fault
    guarded = GuardedLogger.around(Holiday())
    guarded.log_samples([])
    assert "KeyError: 'samples', in " in guarded.faults[0]


def test_an_error_of_luthier_is_said_without_its_class(tmp_path: Path):
    def build():
        raise PluginError("tracking=mine failed: ValueError: on holiday, in Mine (mine.py:1).", hint="--debug.")

    (fault,) = faults_of(build, tmp_path)
    assert fault == (
        "Tracker Mine could not be built: tracking=mine failed: ValueError: on holiday, in Mine (mine.py:1); "
        "the run goes on, metrics.jsonl has everything."
    )


@pytest.mark.parametrize("at", ["built", "asked"])
def test_a_tracker_that_never_ends_is_left_alone(at: str, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tracking, "DEADLINE", 0.3)
    never = threading.Event()
    (fault,) = faults_of(never.wait if at == "built" else lambda: lambda folder: never.wait(), tmp_path)
    assert "no answer within" in fault
    never.set()


def test_a_tracker_may_interrupt_itself_and_refuse_its_settings(tmp_path: Path):
    def interrupt():
        raise KeyboardInterrupt

    def refuse():
        raise RecipeError("tracking.url is empty.")

    (fault,) = faults_of(interrupt, tmp_path)
    assert "KeyboardInterrupt, in " in fault
    with pytest.raises(RecipeError, match=r"tracking\.url is empty"):
        GuardedTracker("Mine", refuse)


def test_a_guarded_logger_is_not_inherited():
    with pytest.raises(TypeError, match="Unguarded inherits GuardedLogger"):
        type("Unguarded", (GuardedLogger,), {})


def test_a_logger_of_a_library_is_named_with_the_library(tmp_path: Path):
    guarded = GuardedLogger.around(CSVLogger(tmp_path))
    guarded.log_metrics({"loss": object()}, "third")
    assert "pytorch-lightning" in guarded.faults[0]

"""`luthier plugin-check` says what is wrong with an installed distribution, each fault once, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import luthier

INFO, RECIPES = "acme-0.1.0.dist-info", "acme/recipes"
Break = Callable[[Path], object]


def changed(file: str, old: str, new: str) -> Break:
    def act(site: Path) -> None:
        text = (site / file).read_text(encoding="utf-8")
        assert old in text
        (site / file).write_text(text.replace(old, new), encoding="utf-8")

    return act


def written(file: str, content: bytes) -> Break:
    return lambda site: (site / file).write_bytes(content)


def moved(old: str, new: str) -> Break:
    """Moved in the wheel, too, so that nothing but its place is wrong."""

    def act(site: Path) -> None:
        (site / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(site / old, site / new)
        changed(f"{INFO}/RECORD", f"{old},", f"{new},")(site)

    return act


def appended(file: str, text: str) -> Break:
    return lambda site: (site / file).write_text((site / file).read_text() + text)


HOOK = "\n\nfrom luthier.api import hookimpl\n\n\n@hookimpl\ndef {}:\n    {}\n"
FAULTS: dict[str, tuple[Break, str, str]] = {
    "another default": (
        changed(f"{RECIPES}/method/reward/acme.yaml", "words: 20", "words: 30"),
        "method/reward/acme.yaml:3",
        "method/reward=acme has words: 30, and the signature of Brevity (reward.py:12) has the default 20.",
    ),
    "a name that is a value": (
        moved(f"{RECIPES}/evaluation/task/acme.yaml", f"{RECIPES}/evaluation/task/1e5.yaml"),
        "evaluation/task/1e5.yaml",
        "cannot be chosen: the command line and recipes read its name as another value",
    ),
    "a key that is written twice": (
        appended(f"{RECIPES}/model/acme.yaml", "\n_target_: acme.model.It\n"),
        "model/acme.yaml:11:1",
        "is not YAML: found duplicate key _target_",
    ),
    "a key that steers a call": (
        appended(f"{RECIPES}/prompt/acme.yaml", "\n_args_: [1]\n"),
        "prompt/acme.yaml",
        "has the key '_args_', and may have _partial_ and _target_",
    ),
    "a misspelt setting": (
        changed(f"{RECIPES}/evaluation/metric/acme.yaml", "fold:", "flod:"),
        "evaluation/metric/acme.yaml:3",
        "There is no setting 'evaluation.metric.flod'.",
    ),
    "a misspelt class": (
        changed(f"{RECIPES}/optimizer/schedule/acme.yaml", "InverseSquareRoot", "InverseSqareRoot"),
        "optimizer/schedule/acme.yaml",
        "schedule.py defines no 'InverseSqareRoot'.",
    ),
    "a misspelt module": (
        changed(f"{RECIPES}/optimizer/acme.yaml", "acme.optimizer", "acme.optimiser"),
        "optimizer/acme.yaml",
        "The module of 'acme.optimiser.Momentum' cannot be found.",
    ),
    "a value of another type": (
        changed(f"{RECIPES}/method/acme.yaml", "power: 1.0", "power: much"),
        "method/acme.yaml:3",
        "method.power is 'much', but must be a number.",
    ),
    "no target": (
        changed(f"{RECIPES}/data/filter/acme.yaml", "_target_", "target"),
        "data/filter/acme.yaml",
        "names no _target_",
    ),
    "no YAML": (
        changed(f"{RECIPES}/data/reader/acme.yaml", '":"', '[":"'),
        "data/reader/acme.yaml:4:1",
        "This is not YAML",
    ),
    "a list": (
        written(f"{RECIPES}/data/format/acme.yaml", b"# Rows.\n- a\n"),
        "data/format/acme.yaml",
        "is no mapping",
    ),
    "no UTF-8": (written(f"{RECIPES}/prompt/search/acme.yaml", b"# caf\xe9\n"), "prompt/search/acme.yaml", "no UTF-8"),
    "no word of what it is": (
        changed(f"{RECIPES}/tracking/acme.yaml", "# The latest metrics in one JSON file of the run's folder.\n", ""),
        "tracking/acme.yaml",
        "does not say in a comment at its top what it is",
    ),
    "an unknown question": (
        moved(f"{RECIPES}/method/advantage/acme.yaml", f"{RECIPES}/method/advantge/acme.yaml"),
        "method/advantge/acme.yaml",
        "Nobody asks the question 'method/advantge', so method/advantge=acme is an answer to nothing.",
    ),
    "code that is no Python": (
        changed("acme/strategy.py", "class OneDevice:", "class OneDevice"),
        "trainer/strategy/acme.yaml",
        "The module of 'acme.strategy.OneDevice' cannot be read: expected ':' (",
    ),
    "an ending that is not read": (
        moved(f"{RECIPES}/prompt/selection/acme.yaml", f"{RECIPES}/prompt/selection/acme.yml"),
        "prompt/selection/acme.yml",
        "An option file that ends in .yml is not read.",
    ),
    "an answer of another": (
        moved(f"{RECIPES}/method/signal/acme.yaml", f"{RECIPES}/method/signal/forward_kl.yaml"),
        "method/signal/forward_kl.yaml",
        "method/signal=forward_kl is an answer of distillation (luthier",
    ),
    "a file that the wheel lacks": (
        changed(f"{INFO}/RECORD", f"{RECIPES}/method/rollout/acme.yaml,", f"{RECIPES}/method/rollout/other.yaml,"),
        "method/rollout/acme.yaml",
        "The option file of method/rollout=acme is not in the wheel",
    ),
    "a package that nothing requires": (
        changed("acme/prompt.py", "from typing import", "import no_such_package\nfrom typing import"),
        "acme/prompt.py:5",
        "It imports no_such_package, and no requirement of acme names no-such-package.",
    ),
    "a module that is not the API": (
        changed("acme/task.py", "from luthier.api import Attempts,", "from luthier.evaluation import tasks,"),
        "acme/task.py:8",
        "It imports luthier.evaluation.tasks, which is not luthier's API",
    ),
    "a requirement without a bound": (
        changed(f"{INFO}/METADATA", "luthier<0.2,>=0.1", "luthier\nRequires-Dist: torch<2"),
        "METADATA",
        "acme 0.1.0 requires any luthier",
    ),
    "a pin that does not fit": (lambda site: None, "METADATA", "acme 0.1.0 requires torch<2, but "),
    "a verb of luthier": (
        changed("acme/__init__.py", 'Verb("acme-scores"', 'Verb("plan"'),
        "",
        "The verb 'plan' of the plugin acme is luthier's own",
    ),
}
"""What is broken (by the line before where nothing is done), the end of the place that is named, the sentence."""


def check(site: Path) -> tuple[int, dict]:
    """The exit code and the report of what needs no torch, so that a fresh process is quick."""
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "luthier", "plugin-check", "acme", "--json", "--no-twins"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, cwd=site, capture_output=True, text=True, timeout=240
    )
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def broken(unpacked, tmp_path_factory) -> list[dict]:
    """What is found where all of this is wrong at once."""
    site = tmp_path_factory.mktemp("broken") / "site"
    shutil.copytree(unpacked, site)
    for act, _, _ in FAULTS.values():
        act(site)
    code, report = check(site)
    assert (code, report["ok"]) == (7, False)
    return [one for one in report["findings"] if one["state"] == "failed"]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_told_once_with_its_place(fault, broken):
    _, place, sentence = FAULTS[fault]
    (found,) = [one for one in broken if sentence in one["message"]]
    assert found["where"].endswith(place)


def test_nothing_else_is_a_fault(broken):
    others = [one for one in broken if not any(sentence in one["message"] for _, _, sentence in FAULTS.values())]
    assert others == []


def without_option_files(site: Path) -> None:
    """As a build without package data leaves it, of a plugin without hooks."""
    for file in (site / RECIPES).rglob("*.yaml"):
        file.unlink()
    (site / "acme" / "__init__.py").write_text("")


OF_THE_WHOLE: dict[str, tuple[Break, str, str]] = {
    "no package data": (without_option_files, "acme/__init__.py", "brings nothing: its wheel holds no option file"),
    "a folder that is no package": (
        lambda site: (site / RECIPES / "__init__.py").unlink(), "", "are not found: the folder has no __init__.py",
    ),
    "a misspelt hook": (
        appended("acme/__init__.py", HOOK.format("luthier_chek(config)", "return []")),
        "acme/__init__.py",
        "it has a hook luthier_chek, which luthier does not have. Did you mean luthier_check",
    ),
    "an entry point that names no module": (
        changed(f"{INFO}/entry_points.txt", "acme = acme", "acme = acmee"),
        "entry_points.txt",
        "does not load: ModuleNotFoundError: No module named 'acmee'",
    ),
    "no entry point": (
        changed(f"{INFO}/entry_points.txt", "[luthier]", "[luthierr]"),
        "",
        "has no entry point of the group luthier",
    ),
}  # fmt: skip


HEAVY = "torch in every command"
TORCH = (
    changed("acme/__init__.py", "from typing", "import torch  # noqa\nfrom typing"),
    "acme/__init__.py",
    "Importing acme imports torch",
)
"""It takes seconds, three times."""


@pytest.mark.parametrize("fault", [*OF_THE_WHOLE, pytest.param(HEAVY, marks=pytest.mark.exhaustive)])
def test_a_plugin_that_does_not_work_at_all_is_told(fault, unpacked, tmp_path):
    act, place, sentence = OF_THE_WHOLE.get(fault, TORCH)
    shutil.copytree(unpacked, tmp_path / "site")
    act(tmp_path / "site")
    code, report = check(tmp_path / "site")
    assert code == 7
    (found,) = [one for one in report["findings"] if one["state"] == "failed"]
    assert sentence in found["message"]
    assert found["where"].endswith(place)


def only(unpacked: Path, site: Path, *kept: str) -> Path:
    """The package with these option files alone."""
    shutil.copytree(unpacked, site)
    for file in (site / RECIPES).rglob("*.yaml"):
        if file.parent.relative_to(site / RECIPES).as_posix() not in kept:
            file.unlink()
    return site


def test_each_answer_runs_as_a_tiny_twin(unpacked, tmp_path):
    site = only(unpacked, tmp_path / "site", "optimizer/schedule", "model", "data/reader", "evaluation/metric")
    changed("acme/metric.py", "if self.fold else", "if self.flod else")(site)
    done = luthier("plugin-check", "acme", "--json", PYTHONPATH=str(site))
    report = json.loads(done.stdout)
    found = {one["message"].split()[0]: one for one in report["findings"] if one["check"] == "twins"}
    assert done.returncode == 7
    assert found["optimizer/schedule=acme"]["message"].endswith("ran as optimizer=adamw optimizer/schedule=acme.")
    assert found["data/reader=acme"]["message"] == "data/reader=acme is built."
    assert found["model=acme"]["state"] == "skipped"
    assert "model.path must be given" in found["model=acme"]["message"]
    assert found["evaluation/metric=acme"]["state"] == "failed"
    assert "WordOverlap" in found["evaluation/metric=acme"]["message"]
    assert "flod" in found["evaluation/metric=acme"]["message"]
    tried = [line for line in done.stderr.splitlines() if line.startswith("trying ")]  # a person sees that it goes on
    assert len(tried) == 4
    assert tried[0].endswith("(1 of 4) …")

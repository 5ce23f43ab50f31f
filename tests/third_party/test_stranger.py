"""A second distribution, installed by pip, brings a format and a method; nothing in the core knows it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import luthier

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
THEMES = [
    "pond",
    "crow",
    "rain",
    "moon",
    "snow",
    "plum",
    "frog",
    "wind",
    "cloud",
    "star",
    "mist",
    "stone",
    "leaf",
    "river",
    "autumn",
    "dusk",
]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with what pip installed, for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(folder), str(HERE / "luthier_haiku")], check=True, capture_output=True)
    return str(folder)


@pytest.fixture(scope="module")
def verses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "haiku.jsonl"
    rows = [
        {"theme": theme, "lines": [f"the {theme} is old", "and very quiet today", "a bell far away"]}
        for theme in THEMES
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_nothing_in_the_core_knows_the_stranger() -> None:
    files = [path for folder in ("framework", "plugins", "recipes") for path in (ROOT / folder).rglob("*.py")]
    assert not [path for path in files if re.search("haiku", path.read_text(encoding="utf-8"), re.IGNORECASE)]


def test_the_command_line_knows_the_stranger(stranger: str) -> None:
    assert "shaped" in luthier("--help", PYTHONPATH=stranger).stdout
    assert "shaped" not in luthier("--help").stdout
    explained = luthier("explain", "method/objective=focal", PYTHONPATH=stranger)
    assert "2017" in explained.stdout
    assert "focus" in explained.stdout
    wrong = luthier("method=shaped", "method.objective.fokus=1", PYTHONPATH=stranger)
    assert wrong.returncode == 2
    assert wrong.stderr


def test_a_stranger_s_recipe_trains_on_a_stranger_s_format(stranger: str, verses: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = luthier(
        "recipe=haiku", f"data.file={verses}", "model=tiny", "trainer.precision=fp32", "trainer.max_steps=2",
        "batch.length=256", "data.splits.test=0.3", f"hydra.run.dir={run}", PYTHONPATH=stranger,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "five, seven, five" in done.stderr
    assert "scored" in (run / "haiku.txt").read_text()
    assert "luthier_haiku.objectives.Focal" in (run / "resolved.yaml").read_text()


def test_a_focus_of_zero_is_the_likelihood(stranger: str, tmp_path: Path) -> None:
    losses = []
    for name, words in (
        ("plain", ["method=sft"]),
        ("focal", ["method=shaped", "method/objective=focal", "method.objective.focus=0.0"]),
    ):
        run = tmp_path / name
        done = luthier("debug=tiny", "stages=[fit]", *words, f"hydra.run.dir={run}", PYTHONPATH=stranger)
        assert done.returncode == 0, done.stderr
        losses.append([json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_stranger_s_objection_stops_a_run(stranger: str) -> None:
    done = luthier("debug=tiny", "method=shaped", "batch.packing=false", PYTHONPATH=stranger)
    assert done.returncode == 2
    assert "Haiku are so short" in done.stderr


def test_a_stranger_can_be_left_out(stranger: str) -> None:
    done = luthier("-p", "no:haiku", "method=shaped", PYTHONPATH=stranger)
    assert done.returncode == 2
    assert "'shaped'" in done.stderr

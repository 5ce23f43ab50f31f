"""Rows 1, 8 and 10 of the fault catalogue: killed at any line of any writing, a run finds what is whole.

Each scenario is carried out once for every line of the code that writes, and killed at that line.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.disk.leftovers import sweep
from luthier.disk.reading import read_json
from luthier.disk.seals import read_sealed_json
from luthier.fetch.once import build_once
from luthier.training import checkpoint_files
from luthier.training.checkpoint_files import newest, step_of, verify
from tests.faults import killed_at_each_line
from tests.faults.killed_at_each_line import FILES, SCENARIOS, fill

ROOT = Path(__file__).parents[2]
KILLS = 500
"""At least so many, over all scenarios."""


def one_of(*steps: int) -> Callable[[Path], None]:
    """A folder of checkpoints with no half one, the newest of one of these steps."""

    def check(folder: Path) -> None:
        best = newest(folder)
        assert best is not None
        assert step_of(best) in steps
        verify(best)

    return check


def brought(folder: Path) -> None:
    """The run's own checkpoint is there or not; the other run's is untouched."""
    assert newest(folder) is None or step_of(newest(folder)) == 1
    verify(folder / "earlier" / "step-00000001")
    checkpoint_files.bring(folder / "earlier" / "step-00000001", folder)
    assert step_of(newest(folder)) == 1


def old_new_or_gone(folder: Path) -> None:
    """Scores are of one writing, or are to be measured again: the folder is never half."""
    place = folder / "before"
    if place.exists():
        said = read_sealed_json(place / "scores.json")["said"]
        assert (place / "scores.safetensors").read_text() == said
        assert said in ("old", "new")


def old_or_new_record(folder: Path) -> None:
    assert read_sealed_json(folder / "record.json")["said"] in ("old", "new")
    assert read_json(folder / "record.json")


def old_or_new_report(folder: Path) -> None:
    assert (folder / "report.html").read_text() in ("old", "new")


def cached(folder: Path) -> None:
    """The same call ends with what it was to make, and leaves nothing beside it."""
    place = build_once(folder / "blocks", fill)
    assert {name: (place / name).read_bytes() for name in FILES} == FILES
    assert not [one.name for one in folder.iterdir() if one.name.startswith(".tmp-")]


ORACLES = {
    "a checkpoint is saved and old ones go": (one_of(2, 3), 300),
    "a damaged checkpoint is replaced": (one_of(1, 2), 150),
    "a checkpoint is brought from another run": (brought, 300),
    "checkpoints of an abandoned path go": (one_of(1, 2), 80),
    "scores are measured again": (old_new_or_gone, 100),
    "a record is written again": (old_or_new_record, 15),
    "a report is written again": (old_or_new_report, 10),
    "examples are cached": (cached, 50),
}
"""What must hold after a kill, and how many kills there are at least."""
FEW = ("scores are measured again", "a record is written again", "a report is written again", "examples are cached")


def killed(scenario: str, folder: Path) -> list[Path]:
    """A folder for each line of a scenario, the last one of a writer that got through."""
    words = [sys.executable, "-m", killed_at_each_line.__name__, scenario, str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, timeout=250)
    return sorted(folder.iterdir(), key=lambda one: int(one.name))


@pytest.mark.parametrize(
    "scenario", [name if name in FEW else pytest.param(name, marks=pytest.mark.exhaustive) for name in ORACLES]
)
def test_rows_1_8_and_10_each_kill_leaves_what_is_whole_and_no_orphan(tmp_path, scenario):
    check, least = ORACLES[scenario]
    folders = killed(scenario, tmp_path)
    assert len(folders) > least
    for folder in folders:
        sweep(folder)
        assert not list(folder.rglob(".tmp-[0-9]*")), f"killed at line event {folder.name}"
        try:
            check(folder)
        except Exception as error:
            raise AssertionError(f"killed at line event {folder.name}") from error


def test_row_1_every_scenario_has_an_oracle_and_there_are_more_than_500_kills():
    assert ORACLES.keys() == SCENARIOS.keys()
    assert sum(least for _, least in ORACLES.values()) > KILLS


@pytest.mark.parametrize("name", ["a checkpoint is saved and old ones go", "scores are measured again"])
def test_row_8_a_writer_that_gets_through_leaves_the_new_one_alone(tmp_path, name):
    last = tmp_path / "1"
    last.mkdir()
    SCENARIOS[name].first(last)
    SCENARIOS[name].then(last)
    if name.startswith("scores"):
        assert read_sealed_json(last / "before" / "scores.json")["said"] == "new"
    else:
        assert [step_of(path) for path in checkpoint_files.checkpoints(last)] == [3]

"""Writes what a run writes in children that kill themselves at one line each, until one gets through.

A process of its own without threads: a fork of one that has some can hang.

    python -m tests.faults.killed_at_each_line SCENARIO FOLDER
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from luthier.disk import seals, writing
from luthier.disk.seals import write_sealed_json
from luthier.disk.writing import replacing_folder, write_text
from luthier.fetch import once
from luthier.fetch.once import build_once
from luthier.training import checkpoint_files

FILES = {"state.json": b'{"a": 1}' * 40, "state.safetensors": bytes(range(256)) * 8, "deep/one": b"x"}
TRACED = {module.__file__ for module in (checkpoint_files, writing, seals, once, shutil)}


def fill(folder: Path) -> None:
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def two_checkpoints(folder: Path) -> None:
    checkpoint_files.write(folder, 1, fill)
    checkpoint_files.write(folder, 2, fill)


def a_damaged_second(folder: Path) -> None:
    two_checkpoints(folder)
    (folder / checkpoint_files.folder_name(2) / "state.json").write_bytes(b"{")


def a_third_and_no_more_than_one(folder: Path) -> None:
    checkpoint_files.write(folder, 3, fill)
    checkpoint_files.prune(folder, 1)


def a_run_beside_it(folder: Path) -> None:
    checkpoint_files.write(folder / "earlier", 1, fill)


def scores(folder: Path, said: str) -> None:
    with replacing_folder(folder / "before") as temporary:
        (temporary / "scores.safetensors").write_bytes(said.encode())
        write_sealed_json(temporary / "scores.json", {"said": said})


@dataclass(frozen=True)
class Scenario:
    """What lies there, and what is done until the kill."""

    first: Callable[[Path], object]
    then: Callable[[Path], object]


SCENARIOS = {
    "a checkpoint is saved and old ones go": Scenario(two_checkpoints, a_third_and_no_more_than_one),
    "a damaged checkpoint is replaced": Scenario(
        a_damaged_second, lambda folder: checkpoint_files.write(folder, 2, fill)
    ),
    "a checkpoint is brought from another run": Scenario(
        a_run_beside_it, lambda folder: checkpoint_files.bring(folder / "earlier" / "step-00000001", folder)
    ),
    "checkpoints of an abandoned path go": Scenario(two_checkpoints, lambda folder: checkpoint_files.cut(folder, 1)),
    "scores are measured again": Scenario(lambda folder: scores(folder, "old"), lambda folder: scores(folder, "new")),
    "a record is written again": Scenario(
        lambda folder: write_sealed_json(folder / "record.json", {"said": "old"}),
        lambda folder: write_sealed_json(folder / "record.json", {"said": "new"}),
    ),
    "a report is written again": Scenario(
        lambda folder: write_text(folder / "report.html", "old"),
        lambda folder: write_text(folder / "report.html", "new"),
    ),
    "examples are cached": Scenario(lambda folder: None, lambda folder: build_once(folder / "blocks", fill)),
}


def main(scenario: Scenario, parent: Path) -> None:
    """Folders 1, 2, …: each holds what there was and what a writer left that ended before that line event."""
    for number in itertools.count(1):
        folder = parent / str(number)
        folder.mkdir()
        scenario.first(folder)
        child = os.fork()
        if child == 0:
            _act_until(number, scenario, folder)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            return


def _act_until(number: int, scenario: Scenario, folder: Path) -> None:
    seen = 0

    def line(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    sys.settrace(line)
    scenario.then(folder)
    os._exit(0)


if __name__ == "__main__":
    main(SCENARIOS[sys.argv[1]], Path(sys.argv[2]))
